"""A server that costs next to nothing: nginx where it is installed, else the sandbox."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PATCH = {"quality": "good", "team": "search", "experiment": "prompt-v2"}
BEFORE = {"team": "support", "source": "import", "quality": "unknown"}
"""What nginx says that each completion holds before."""

_CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 10000000; keepalive_timeout 300s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type application/json;
    location ~ ^/replace/v1/chat/completions/(?<cid>[^/]+)$ {{ return 200 '{replaced}'; }}
    location ~ ^/merge/v1/chat/completions/(?<cid>[^/]+)$ {{
      if ($request_method = POST) {{ return 200 '{merged}'; }}
      return 200 '{before}';
    }}
  }}
}}
"""


class Server(NamedTuple):
    """Where each mode's requests go, and what serves them."""

    name: str
    replace: str
    merge: str


@contextmanager
def api_server(folder: Path) -> Iterator[Server]:
    """Serve on a free loopback port for as long as the block runs."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    with _nginx(nginx, folder) if nginx else _sandbox() as server:
        yield server


@contextmanager
def _nginx(binary: str, folder: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder, port=port, replaced=_body(PATCH), merged=_body(BEFORE | PATCH), before=_body(BEFORE)
        )
    )
    process = subprocess.Popen([binary, "-c", str(config), "-p", str(folder)])
    try:
        _wait_for(port)
        base = f"http://127.0.0.1:{port}"
        yield Server("nginx", f"{base}/replace/v1", f"{base}/merge/v1")
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _sandbox() -> Iterator[Server]:
    command = [sys.executable, "-m", "cli.main", "sandbox", "--accept-any-id", "--log-limit", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        base_url = process.stdout.readline().split()[-1]
        yield Server("sandbox", base_url, base_url)
    finally:
        process.terminate()
        process.wait()


def _body(metadata: dict[str, str]) -> str:
    shown = {"id": "$cid", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    return json.dumps(shown | {"metadata": metadata}, separators=(",", ":"))


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
