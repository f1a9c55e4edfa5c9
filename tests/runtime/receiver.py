"""Stands for whoever receives notifications: a real HTTP server on loopback, for apprise's json:// addresses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """`messages` are those that it took; while `refusing` it answers 503."""

    def __init__(self, port: int) -> None:
        patience = "rto=60&cto=60"  # on a computer that is busy with other tests
        self.url = f"json://user:Pa55word-of-ours@127.0.0.1:{port}/?{patience}"
        self.messages: list[dict[str, Any]] = []
        self.refusing = False
        self.tries = 0


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Serves until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.tries += 1
            if not server.refusing:
                server.messages.append(json.loads(body))
            self.send_response(503 if server.refusing else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Receiver(httpd.server_address[1])
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
