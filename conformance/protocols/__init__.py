"""One module per protocol: parse an offer, build a payment. Never does HTTP."""
