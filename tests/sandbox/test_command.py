"""The command: it says where it listens, and ends when it is told to."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from click.testing import CliRunner

from cli.commands.sandbox import sandbox_command
from cli.main import cli
from sandbox import Sandbox

COMMAND = [sys.executable, "-c", "from cli.commands.sandbox import sandbox_command; sandbox_command()"]


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The command as a process, and the base URL it printed."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
        assert line.startswith("sandbox listening on http://127.0.0.1:")
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_command_quietly(http, number):
    """Exit code 0, no traceback, even while a request is held."""
    async with running("--accept-any-id", "--fault", "hang=1") as (process, base_url):
        with pytest.raises(TimeoutError):
            await http.get(f"{base_url}/chat/completions", timeout=aiohttp.ClientTimeout(total=0.2))

        process.send_signal(number)
        async with asyncio.timeout(60):
            out, err = await process.communicate()

    assert (process.returncode, out, err) == (0, b"", b"")


async def test_the_options_reach_the_sandbox(http, tmp_path):
    """What is said on the command line is what the server does."""
    completions, script, log = tmp_path / "load.json", tmp_path / "faults.json", tmp_path / "log.jsonl"
    completions.write_text('{"chatcmpl-a": {"team": "blue"}}')
    script.write_text('[{"match": {"method": "GET"}, "fault": "error_500", "times": 1}]')
    arguments = ["--merge", "--load", str(completions), "--fault-script", str(script), "--log", str(log)]
    arguments += ["--rate-per-second", "500", "--latency", "0.01", "--no-retry-after"]

    async with running(*arguments) as (_, base_url):
        url = f"{base_url}/chat/completions/chatcmpl-a"
        async with http.get(url) as answer:
            first = answer.status
        async with http.post(url, json={"metadata": {"k": "v"}}) as answer:
            metadata = (await answer.json())["metadata"]
        async with http.get(base_url.replace("/v1", "/_sandbox/options")) as answer:
            options = await answer.json()

    assert (first, metadata) == (500, {"team": "blue", "k": "v"})
    assert (options["rate_per_second"], options["latency_s"], options["retry_after"]) == (500, 0.01, False)
    assert [json.loads(line)["status"] for line in log.read_text().splitlines()] == [500, 200]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "--allow-remote"),
        (["--host", "sandbox.example"], "--allow-remote"),
        (["--fault", "explode=1"], "NAME=SHARE"),
        (["--fault", "quota=much"], "NAME=SHARE"),
        (["--fault", "quota=2"], "at most 1 together"),
        (["--rate-per-second", "0"], "rate_per_second"),
        (["--port", "70000"], "70000"),
    ],
)
def test_wrong_use_is_exit_code_2_and_a_sentence(arguments, words):
    """Nothing is started when the command line cannot be meant."""
    result = CliRunner().invoke(cli, ["sandbox", *arguments])

    assert (result.exit_code, words in result.output) == (2, True)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--load", "{"),
        ("--load", '{"chatcmpl-a": {"k": 1}}'),
        ("--load", json.dumps({"chatcmpl-a": {"k": "v" * 513}})),
        ("--fault-script", '[{"fault": "explode"}]'),
        ("--fault-script", "rules"),
    ],
)
def test_a_file_that_cannot_be_used_is_exit_code_2(tmp_path, option, text):
    """A bad file is told before the sandbox listens."""
    path = tmp_path / "file.json"
    path.write_text(text)

    result = CliRunner().invoke(cli, ["sandbox", option, str(path)])

    assert (result.exit_code, "Error: " in result.output) == (2, True)


async def test_a_port_that_is_taken_is_told_plainly(start):
    """Exit code 1 and one line, no traceback."""
    sandbox = await start()
    port = sandbox.address.rpartition(":")[2]

    process = await asyncio.create_subprocess_exec(*COMMAND, "--port", port, stderr=asyncio.subprocess.PIPE)
    _, err = await process.communicate()

    assert (process.returncode, b"Traceback" in err, b"address already in use" in err) == (1, False, True)


def test_the_help_names_every_option_and_shows_examples():
    """Help is the reference: each option has a sentence."""
    result = CliRunner().invoke(cli, ["sandbox", "--help"])

    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert all(option.help for option in sandbox_command.params)


def test_the_library_refuses_a_remote_address_too():
    """The guard is in the server, not only in the command."""
    with pytest.raises(ValueError, match="not a loopback address"):
        Sandbox(host="0.0.0.0")
