"""A real Prometheus that scrapes one endpoint every half second, and evaluates rules as often."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.end_with_parent import end_with_parent
from tests.harness.free_port import free_port

CONFIG = """\
global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
rule_files: {rules}
scrape_configs:
  - job_name: relabel
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
{web}"""
WEB = """\
  - job_name: relabel-web
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
START_S = 60.0


@contextmanager
def prometheus(port: int, folder: Path, *, rules: str = "", web_port: int = 0) -> Iterator[Callable[[str], list]]:
    """Start it, and give what answers a query with its series; nothing of it is left at the end.

    `web_port` is where a `relabel serve` answers scrapes, if one does.
    """
    config, web = folder / "prometheus.yml", WEB.format(port=web_port) if web_port else ""
    (folder / "rules.yml").write_text(rules)
    config.write_text(CONFIG.format(port=port, rules="[rules.yml]" if rules else "[]", web=web))
    own = free_port()
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{own}",
    ]
    with (folder / "prometheus.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=end_with_parent)  # noqa: PLW1509
    try:
        wait_for(f"http://127.0.0.1:{own}/-/ready")
        yield lambda query: ask(own, query)
    finally:
        server.kill()
        server.wait()


def ask(port: int, query: str) -> list:
    """The series that a query gives now."""
    words = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{words}", timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def wait_for(url: str) -> None:
    """Wait until the address answers well."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, f"not within {START_S:.0f} s: {url} answers"
            time.sleep(0.05)
        else:
            return
