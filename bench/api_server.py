"""A server that costs next to nothing and holds nothing, so that each run finds the same: nginx."""

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

from bench.patches import CHARS, QUALITIES, SOURCES, TEAMS, word_for

_CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 10000000; keepalive_timeout 300s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {words}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type application/json;
    location ~ "^/replace/v1/chat/completions/{id}$" {{ return 200 '{replaced}'; }}
    location ~ "^/merge/v1/chat/completions/{id}$" {{
      if ($request_method = POST) {{ return 200 '{merged}'; }}
      return 200 '{before}';
    }}
  }}
}}
"""
# what `bench.patches` makes of an id, in nginx's words
_ID = "(?<cid>chatcmpl-(?<q>.)(?<t>.)(?<ticket>.{6})(?<held>.)(?<from>.)(?<customer>.{8})[^/]*)"
_CHOICES = (
    ("q", "quality", QUALITIES),
    ("t", "team", TEAMS),
    ("held", "team_before", TEAMS),
    ("from", "source", SOURCES),
)
_PATCH = {"quality": "$quality", "team": "$team", "ticket": "OPS-$ticket"}
_BEFORE = {"team": "$team_before", "customer": "cus_$customer", "source": "$source"}


class Server(NamedTuple):
    """Where each mode's requests go, what serves them, and its process."""

    name: str
    replace: str
    merge: str
    pid: int


@contextmanager
def api_server(folder: Path) -> Iterator[Server]:
    """Serve on a free loopback port for as long as the block runs."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        sys.exit("The benchmark needs nginx as the API; install it: apt-get install nginx-light.")
    with _nginx(nginx, folder) as server:
        yield server


@contextmanager
def _nginx(binary: str, folder: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder,
            port=port,
            words="\n  ".join(_words(*each) for each in _CHOICES),
            id=_ID,
            replaced=_body(_PATCH),
            merged=_body(_BEFORE | _PATCH),
            before=_body(_BEFORE),
        )
    )
    process = subprocess.Popen([binary, "-c", str(config), "-p", str(folder)])
    try:
        _wait_for(port)
        base = f"http://127.0.0.1:{port}"
        yield Server("nginx", f"{base}/replace/v1", f"{base}/merge/v1", process.pid)
    finally:
        process.terminate()
        process.wait()


def _words(source: str, name: str, words: tuple[str, ...]) -> str:
    # nginx compares without regard to case, except in regular expressions
    choices = " ".join(
        f'"~^[{"".join(char for char in CHARS if word_for(char, words) == word)}]$" {word};' for word in words
    )
    return f"map ${source} ${name} {{ {choices} }}"


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
