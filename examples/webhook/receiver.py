"""Receives relabel's notifications: `python receiver.py PORT`, with the secret in RELABEL_NOTIFY__SECRET."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

TOLERANCE_S = 300
"""Oldest timestamp that is accepted, so that a recorded request cannot be sent again later."""
MAX_BYTES = 65_536


def is_genuine(secret: str, headers: dict[str, str], body: bytes, now: float) -> bool:
    """Return whether the body was signed with the secret lately (Standard Webhooks, https://www.standardwebhooks.com)."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}"
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(expected.encode(), each.encode()) for each in given)


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to a genuine notification and 401 to anything else."""

    timeout = 10

    def do_POST(self) -> None:
        """Verify and print one notification."""
        length = self.headers.get("content-length", "")
        body = self.rfile.read(min(int(length), MAX_BYTES)) if length.isdigit() else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        genuine = is_genuine(os.environ["RELABEL_NOTIFY__SECRET"], headers, body, time.time())
        if genuine:
            sys.stdout.write(f"{json.loads(body)['text']}\n")
            sys.stdout.flush()
        self.send_response(204 if genuine else 401)
        self.end_headers()


if __name__ == "__main__":
    with HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver) as server:
        sys.stdout.write(f"listening on {server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()
