"""Before anything is stored, `run` checks that the API can be reached at all."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.end_to_end.cli_process import CliProcess
from tests.end_to_end.conftest import StartServer
from tests.harness.shaped_service import SHAPES, ShapedService, serving
from tests.harness.wait import wait_until

ROWS = "completion_id,team\nchatcmpl-CUL7Laaaaaaaaaaaaaaaaaaaaaaaa,blue\n"


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def no_jobs(relabel: CliProcess) -> bool:
    """Whether the ledger has seen no job."""
    return (await relabel("jobs", "--json")).out.strip() == "[]"


@pytest.mark.parametrize(
    ("url", "words"),
    [("http://127.0.0.1:{port}/v1", "the connection"), ("https://no-such-host.invalid/v1", "host name")],
)
async def test_an_api_that_cannot_be_reached_is_exit_code_4_before_anything_is_stored(
    relabel: CliProcess, url: str, words: str
) -> None:
    """One sentence, no traceback, no job, and the key is not shown."""
    settings = {"OPENAI_API_KEY": "sk-secret-preflight", "OPENAI_BASE_URL": url.format(port=closed_port())}

    ended = await relabel("run", relabel.file("rows.csv", ROWS), **settings)

    sentence = ended.err.splitlines()[-1]
    assert (ended.code, ended.out) == (4, "")
    assert sentence.startswith("relabel: the API cannot be used: ")
    assert words in sentence
    assert "Traceback" not in ended.err
    assert "sk-secret" not in ended.err
    assert await no_jobs(relabel)


async def test_a_key_that_is_refused_is_exit_code_4_with_the_words_of_the_server(
    relabel: CliProcess, serve: StartServer
) -> None:
    """The key that the server quotes is not shown, and no row is asked for."""
    server = await serve()

    ended = await relabel("run", relabel.file("rows.csv", ROWS), OPENAI_API_KEY="sk-wrong-key-0815")

    assert ended.code == 4
    assert "Incorrect API key provided: [key]" in ended.err
    assert "sk-wrong" not in ended.said
    assert server.asked() == 0
    assert await no_jobs(relabel)


async def test_a_url_without_v1_is_exit_code_4_before_anything_is_stored(relabel: CliProcess) -> None:
    """The message names the URL that was asked, and how one usually ends; no completion was asked for."""
    async with serving(ShapedService(SHAPES["OpenAI"])) as service:
        settings = {"OPENAI_API_KEY": "sk-secret-preflight", "OPENAI_BASE_URL": service.address}

        ended = await relabel("run", relabel.file("rows.csv", ROWS), **settings)

    assert (ended.code, ended.out) == (4, "")
    assert "usually ends in /v1" in ended.err
    assert service.address in ended.err
    assert not any("CUL7L" in completion_id for _, completion_id in service.asked)
    assert await no_jobs(relabel)


@pytest.mark.promise
@pytest.mark.parametrize("mishap", ["404", "500", "reset"])
async def test_any_other_answer_or_one_lost_connection_stops_no_run(
    relabel: CliProcess, serve: StartServer, mishap: str
) -> None:
    """A server that cannot list its completions may be able to update them."""
    server = await serve({"chatcmpl-CUL7Laaaaaaaaaaaaaaaaaaaaaaaa": {}})
    server.mishaps["GET", ""] = [mishap]

    ended = await relabel("run", relabel.file("rows.csv", ROWS))

    assert ended.code == 0
    assert server.completions == {"chatcmpl-CUL7Laaaaaaaaaaaaaaaaaaaaaaaa": {"team": "blue"}}


@pytest.mark.promise
@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_may_update_but_not_list_is_good_enough(
    relabel: CliProcess, serve: StartServer, status: int
) -> None:
    """Only the updates decide; a key of that kind must not be taken for a wrong one."""
    server = await serve({"chatcmpl-CUL7Laaaaaaaaaaaaaaaaaaaaaaaa": {}})
    server.may_not_list = status

    ended = await relabel("run", relabel.file("rows.csv", ROWS))

    assert ended.code == 0, ended.err
    assert server.completions == {"chatcmpl-CUL7Laaaaaaaaaaaaaaaaaaaaaaaa": {"team": "blue"}}


async def test_an_interrupt_before_anything_is_stored_ends_at_once(relabel: CliProcess, serve: StartServer) -> None:
    """Exit code 130 after one Ctrl-C, while the API still has not answered; there is no job to go on with."""
    server = await serve()
    server.mishaps["GET", ""] = ["hang"]
    running = await relabel.start("run", relabel.file("rows.csv", ROWS))
    await wait_until(lambda: not server.mishaps["GET", ""], within=60, what="the API is asked")

    running.send(signal.SIGINT)
    ended = await running.ended()

    assert (ended.code, "Traceback" in ended.err) == (130, False)
    assert await no_jobs(relabel)


async def test_an_api_whose_tls_cannot_be_trusted_is_exit_code_4(relabel: CliProcess, serve: StartServer) -> None:
    """The sentence says that it is TLS, so that nobody looks for a wrong key."""
    server = await serve()

    ended = await relabel(
        "run", relabel.file("rows.csv", ROWS), OPENAI_BASE_URL=server.base_url.replace("http:", "https:")
    )

    assert (ended.code, "TLS" in ended.err.splitlines()[-1], server.log) == (4, True, [])
