// A weather API that charges with x402 v2, as Express users of the SDK write it: `node express_v2.mjs PORT`.

import { setTimeout } from "node:timers/promises";

import { HTTPFacilitatorClient } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { paymentMiddleware, x402ResourceServer } from "@x402/express";
import express from "express";

const app = express();
const handled = { weather: 0, reports: 0, cities: 0 };

const facilitator = new HTTPFacilitatorClient({ url: process.env.FACILITATOR_URL });
const server = new x402ResourceServer(facilitator).register("eip155:84532", new ExactEvmScheme());

const priced = (description) => ({
  accepts: {
    scheme: "exact",
    payTo: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    price: "$0.01",
    network: "eip155:84532",
  },
  description,
  mimeType: "application/json",
});

app.use(
  paymentMiddleware(
    {
      "GET /weather": priced("The weather of today"),
      "GET /reports/*": priced("A report of the weather"),
      "GET /cities/[city]": priced("The weather of a city"),
    },
    server,
  ),
);

app.get("/weather", async (req, res) => {
  handled.weather += 1;
  await setTimeout(Math.min(Number(req.query.sleep ?? 0), 30) * 1000);
  if (req.query.boom) {
    res.status(500).json({ error: "the weather could not be made" });
    return;
  }
  res.json({ weather: "sunny", temperature: 70 });
});

app.get("/reports/{*report}", (req, res) => {
  handled.reports += 1;
  res.json({ report: req.params.report ?? [], weather: "sunny" });
});

app.get("/cities/:city", (req, res) => {
  handled.cities += 1;
  res.json({ city: req.params.city, weather: "sunny" });
});

app.get("/stats", (_req, res) => {
  res.json({ handled });
});

app.get("/health", (_req, res) => {
  res.json({ status: "ok" });
});

app.listen(Number(process.argv[2]), "127.0.0.1");
