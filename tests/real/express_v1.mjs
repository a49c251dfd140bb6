// A weather API that charges with x402 v1, as Express users of the first SDK write it: `node express_v1.mjs PORT`.

import { setTimeout } from "node:timers/promises";

import express from "express";
import { paymentMiddleware } from "x402-express";

const app = express();
const handled = { weather: 0 };

app.use(
  paymentMiddleware(
    "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    {
      "GET /weather": {
        price: "$0.01",
        network: "base-sepolia",
        config: { description: "The weather of today", mimeType: "application/json" },
      },
    },
    { url: process.env.FACILITATOR_URL },
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
