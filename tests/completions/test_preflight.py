"""A look at the API tells a URL that is not the API's from one that is, in whatever shape the service says 404."""

from __future__ import annotations

import pytest
from aiohttp import web

from completions.preflight import look_at_api
from relabel.health import Verdict, check_health
from tests.end_to_end.independent_server import IndependentServer
from tests.harness.cluster import settings_for
from tests.harness.shaped_service import SHAPES, Shape, ShapedService, serving

UNCLEAR = {"FastAPI", "Express with an error handler", "Azure", "a gateway that has one code for all"}
"""Shapes that say the same of a missing completion as of an unknown URL."""


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_a_url_without_v1_is_wrong_and_one_with_it_is_right(shape):
    """Also where the service says nothing but "not found"."""
    async with serving(ShapedService(shape)) as service:
        wrong = await look_at_api(settings_for("redis://127.0.0.1:1/0", service.address))
        right = await look_at_api(settings_for("redis://127.0.0.1:1/0", service.base_url))

    assert "usually ends in /v1" in wrong.wrong_url
    assert (wrong.unreachable, wrong.refused, any(right)) == ("", "", False)


@pytest.mark.parametrize("shape", [shape for name, shape in SHAPES.items() if name not in UNCLEAR])
async def test_a_service_without_a_list_is_good_enough(shape):
    """It says of an id that nobody has something else than of its missing list, or names it."""
    async with serving(ShapedService(shape, lists=False)) as service:
        assert not any(await look_at_api(settings_for("redis://127.0.0.1:1/0", service.base_url)))


async def test_a_service_without_a_list_whose_words_for_a_missing_completion_name_nothing_is_good_enough():
    """Its list has no route, which it says in other words."""
    shape = Shape(lambda *_: {"detail": "Completion not found"}, lambda *_: {"detail": "Not Found"})
    async with serving(ShapedService(shape, lists=False)) as service:
        right = await look_at_api(settings_for("redis://127.0.0.1:1/0", service.base_url))
        wrong = await look_at_api(settings_for("redis://127.0.0.1:1/0", service.address))

    assert (right.wrong_url, bool(wrong.wrong_url)) == ("", True)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_may_update_but_not_list_is_good_enough(status):
    """Only the updates decide; a key of that kind must not be taken for a wrong one."""
    async with IndependentServer({}) as server:
        server.may_not_list = status
        assert not any(await look_at_api(settings_of(server)))


@pytest.mark.parametrize("mishap", ["404", "500", "reset"])
async def test_any_other_answer_or_one_lost_connection_is_good_enough(mishap):
    """A server that cannot list its completions may be able to update them."""
    async with IndependentServer({}) as server:
        server.mishaps["GET", ""] = [mishap]
        assert not any(await look_at_api(settings_of(server)))


def settings_of(server):
    """The settings of a command that asks this server."""
    return settings_for("redis://127.0.0.1:1/0", server.base_url, OPENAI_API_KEY=server.key)


async def test_a_redirect_is_a_wrong_url():
    """It is not followed, so no row could succeed."""

    class Elsewhere(ShapedService):
        async def answer(self, request: web.Request) -> web.Response:
            raise web.HTTPFound(f"https://api.example{request.path}")

    async with serving(Elsewhere(SHAPES["OpenAI"])) as service:
        assert (await look_at_api(settings_for("redis://127.0.0.1:1/0", service.base_url))).wrong_url


async def test_health_tells_a_wrong_url_from_an_api_that_is_away():
    """It answers; that the key is good is not known."""
    async with serving(ShapedService(SHAPES["OpenAI"])) as service:
        settings = settings_for("redis://127.0.0.1:1/0", service.address)
        looks = await check_health(settings, ["api", "key"], deployed=True)

    assert (looks["api"].verdict, looks["api"].unreachable) == (Verdict.FAIL, False)
    assert "OPENAI_BASE_URL" in looks["api"].next_step
    assert looks["key"].verdict is Verdict.WARN
