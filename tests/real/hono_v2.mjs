// A weather API that charges with x402 v2, as Hono users of the SDK write it: `node hono_v2.mjs PORT`.

import { setTimeout } from "node:timers/promises";

import { serve } from "@hono/node-server";
import { HTTPFacilitatorClient } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { paymentMiddleware, x402ResourceServer } from "@x402/hono";
import { Hono } from "hono";

const app = new Hono();
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

app.get("/weather", async (c) => {
  handled.weather += 1;
  await setTimeout(Math.min(Number(c.req.query("sleep") ?? 0), 30) * 1000);
  if (c.req.query("boom")) {
    return c.json({ error: "the weather could not be made" }, 500);
  }
  return c.json({ weather: "sunny", temperature: 70 });
});

app.get("/reports/*", (c) => {
  handled.reports += 1;
  return c.json({ report: c.req.path, weather: "sunny" });
});

app.get("/cities/:city", (c) => {
  handled.cities += 1;
  return c.json({ city: c.req.param("city"), weather: "sunny" });
});

app.get("/stats", (c) => c.json({ handled }));

app.get("/health", (c) => c.json({ status: "ok" }));

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.argv[2]) });
