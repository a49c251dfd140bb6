// A weather API that charges with x402 v2, as Express users of the SDK write it: `node express_v2.mjs PORT`.

import { setTimeout } from "node:timers/promises";

import { HTTPFacilitatorClient } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { paymentMiddleware, x402ResourceServer } from "@x402/express";
import express from "express";

const app = express();
const handled = { weather: 0 };

const facilitator = new HTTPFacilitatorClient({ url: process.env.FACILITATOR_URL });
const server = new x402ResourceServer(facilitator).register("eip155:84532", new ExactEvmScheme());

app.use(
  paymentMiddleware(
    {
      "GET /weather": {
        accepts: {
          scheme: "exact",
          payTo: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
          price: "$0.01",
          network: "eip155:84532",
        },
        description: "The weather of today",
        mimeType: "application/json",
      },
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

app.get("/stats", (_req, res) => {
  res.json({ handled });
});

app.get("/health", (_req, res) => {
  res.json({ status: "ok" });
});

app.listen(Number(process.argv[2]), "127.0.0.1");
