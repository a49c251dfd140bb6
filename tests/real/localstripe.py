"""localstripe as it comes, but on 127.0.0.1 only and without its file in /tmp: ``python localstripe.py PORT``."""

import sys

from aiohttp import web
from localstripe.resources import store
from localstripe.server import app

# It would write all it knows to /tmp/localstripe.pickle with every request.
store.dump_to_disk = lambda: None

web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
