"""Every example runs as its README says."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import psutil
import pytest
from standardwebhooks import Webhook

from nightly.inbox import Inbox
from tests.harness.free_port import free_port
from tests.harness.wait import wait_until

EXAMPLES = Path(__file__).parents[1] / "examples"
SECRET = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    """An environment with `relabel` on the path, a private Redis, and no settings of the machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELABEL_", "OPENAI_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"PATH": path, "RELABEL_REDIS__URL": redis_url}


def shell(folder: str, *arguments: str, environment: dict[str, str]) -> str:
    """Run a command of an example's README and return what it printed."""
    ended = subprocess.run(
        ["sh", *arguments],
        cwd=EXAMPLES / folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.promise
@pytest.mark.parametrize("folder", ["removals", "replace"])
def test_a_file_is_applied_to_the_stand_in(folder, environment):
    """No row fails."""
    printed = shell(folder, "run.sh", environment=environment)

    assert "finished" in printed
    assert "failed" not in printed


@pytest.mark.promise
def test_a_job_is_undone(environment):
    """Both completions are restored."""
    assert "updated 2\n" in shell("undo", "run.sh", str(free_port()), environment=environment)


@pytest.mark.promise
def test_a_selection_is_applied_and_one_for_editing_changes_nothing(environment):
    """Two completions get a bucket and a part; untouched values stay."""
    printed = shell("select", "run.sh", str(free_port()), environment=environment)

    assert "Matched  2   (2 left out: metadata.score missing or no number)\n" in printed
    assert "updated 2\n" in printed
    assert "updated 0  unchanged 2\n" in printed


@pytest.mark.promise
@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("labels.py", "updated 2\nfailed chatcmpl-ElXmqexampleselect0000000gone: not_found\nrestored 2\n"),
        ("frame.py", "updated    fair                1\n"),
        ("planned.py", "in 7 rows\nverified 7\n"),
    ],
    ids=["pairs", "DataFrame", "plan"],
)
async def test_a_program_brings_its_server_and_its_worker(program, said, environment, state_dir):
    """And ends both."""
    own = {name: value for name, value in environment.items() if name != "RELABEL_REDIS__URL"}
    own |= {"RELABEL_STATE_DIR": str(state_dir)}

    printed = await asyncio.to_thread(shell, "python", "run.sh", str(free_port()), program, environment=own)

    assert said in printed
    await wait_until(lambda: not users_of(state_dir), within=30, what="server and worker have ended")


def users_of(folder: Path) -> list[psutil.Process]:
    """The processes that name a folder, as the private server and its worker do."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = [*process.cmdline(), *process.environ().values()]
            found += [process] if any(str(folder) in word for word in words) else []
    return found


def test_the_inbox_is_taken_at_the_time_of_its_settings(environment, tmp_path):
    """The settings are read, and the file in the inbox would be taken."""
    folder = shutil.copytree(EXAMPLES / "nightly" / "inbox", tmp_path / "inbox")

    printed = shell("nightly", "-c", "set -a; . ./nightly.env; relabel nightly next", environment=environment)
    (listed,) = Inbox(folder).list_files(quiet_s=0, now=time.time() + 1)

    assert "02:30" in printed
    assert (listed.name, listed.skip_reason) == ("labels.csv", "")


def test_the_receiver_accepts_genuine_notifications_alone(environment):
    """Its signature and its age are verified; standardwebhooks signs as any sender does."""
    command = [sys.executable, "receiver.py", "0"]
    with subprocess.Popen(
        command,
        cwd=EXAMPLES / "webhook",
        env=environment | {"RELABEL_NOTIFY__SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as receiver:
        try:
            assert receiver.stdout is not None
            port = int(receiver.stdout.readline().rpartition(" ")[2])
            now = dt.datetime.now(dt.UTC)
            assert post(port, now) == 204
            assert receiver.stdout.readline() == "Job finished.\n"
            assert post(port, now, altered=True) == 401
            assert post(port, now - dt.timedelta(hours=1)) == 401
        finally:
            receiver.kill()


def post(port: int, at: dt.datetime, *, altered: bool = False) -> int:
    """Sign a notification at this time, send it, and return the status."""
    body = json.dumps({"text": "Job finished."})
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", at, body),
    }
    sent = body.replace("finished", "lost") if altered else body
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", sent.encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
