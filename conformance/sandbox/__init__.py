"""The reference target: a correct server of every protocol that we judge, in one process, without a network.

Read ``refusal.py`` first: it is how a 402 is said.
"""

from conformance.sandbox.app import app, serve

__all__ = ["app", "serve"]
