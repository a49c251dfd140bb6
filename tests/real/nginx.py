"""A real nginx before a server, with a configuration of its own."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from real import environment

__all__ = ["before"]

_STARTS_WITHIN = 10.0
_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_WHOLE = """
daemon off;
master_process off;
error_log stderr warn;
pid {home}/nginx.pid;
events {{ worker_connections 128; }}
http {{
  access_log off;
  {folders}
  proxy_cache_path {home}/cache keys_zone=kept:1m;
  server {{
    listen {here}{tls};
    location / {{
      proxy_pass http://{upstream};
      proxy_set_header Host $http_host;
      {told}
    }}
  }}
}}
"""


@contextmanager
def before(base_url: str, home: Path, told: str, *, certificate: Path | None = None) -> Iterator[str]:
    """The base URL of an nginx that hands requests on to ``base_url`` and keeps its files below ``home``.

    ``told`` is what its one location is told beyond that; ``kept`` is a zone for its cache. With a ``certificate``, a
    file that has its key too, it speaks TLS, and HTTP/2 to who wants it.
    """
    packages = environment.debian("nginx")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{bound.getsockname()[1]}"
    folders = "\n  ".join(f"{name}_temp_path {home}/{name};" for name in _FOLDERS)
    tls = f" ssl http2; ssl_certificate {certificate}; ssl_certificate_key {certificate}" if certificate else ""
    upstream = urlsplit(base_url).netloc
    text = _WHOLE.format(home=home, here=here, tls=tls, upstream=upstream, told=told, folders=folders)
    (home / "nginx.conf").write_text(text)
    process = subprocess.Popen(
        [packages.program("usr/sbin/nginx"), "-e", "stderr", "-p", home, "-c", home / "nginx.conf"],
        env={**os.environ, **packages.environ()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _await(process, home)
        yield f"{'https' if certificate else 'http'}://{here}"
    finally:
        process.terminate()
        process.communicate(timeout=_STARTS_WITHIN)


def _await(process: subprocess.Popen[bytes], home: Path) -> None:
    end = time.monotonic() + _STARTS_WITHIN
    while not (home / "nginx.pid").exists():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise environment.BrokenEnvironmentError(f"nginx does not start: {process.communicate()[1].decode()}")
        time.sleep(0.01)
