// stripe-stateful-mock as it comes, but on 127.0.0.1 only: `node stripe_stateful_mock.mjs PORT`.

import mock from "stripe-stateful-mock";

mock.createExpressApp().listen(Number(process.argv[2]), "127.0.0.1");
