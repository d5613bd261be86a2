"""Tokens: made, listed and revoked by those with the scope `admin`, as by `relabel token`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from config.web import Scope
from relabel.results import NewTokenResult, TokenResult
from relabel.tokens import DEFAULT_DAYS, MOST_DAYS, create_token, list_tokens, revoke_token, token_facts
from web.callers import SessionHere, needs
from web.documented import answers, lists, problems_of
from web.pages import After, Limit, page

router = APIRouter(tags=["tokens"])


class NewToken(BaseModel):
    """A token: its name, what it permits, the person who acts by it, and for how many days."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64)
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    owner: str = Field(min_length=1, max_length=100)
    days: float = Field(DEFAULT_DAYS, gt=0, le=MOST_DAYS)


@router.get("/v1/tokens", responses=lists(TokenResult), **needs(Scope.ADMIN))
async def get_tokens(session: SessionHere, *, limit: Limit = 20, after: After = "") -> JSONResponse:
    """List the valid tokens by name; when one was used last is known to the minute."""
    found = [{"object": "token"} | token_facts(*known) for known in await list_tokens(session)]
    behind = [each for each in found if each["name"] > after]
    return page(behind[:limit], key="name", has_more=len(behind) > limit)


@router.post(
    "/v1/tokens",
    status_code=201,
    responses=answers(NewTokenResult, "invalid_input", status=201),
    **needs(Scope.ADMIN),
)
async def post_token(session: SessionHere, body: NewToken) -> JSONResponse:
    """Make a token, which the answer shows this once. Its owner is the person who acts by it, in logs and approvals."""
    made = await create_token(session, body.name, body.scopes, owner=body.owner, days=body.days)
    return JSONResponse({"object": "token", "token": made.text} | token_facts(made.token), 201)


@router.delete(
    "/v1/tokens/{name}",
    status_code=204,
    response_class=Response,
    responses=problems_of("invalid_input"),
    **needs(Scope.ADMIN),
)
async def delete_token(session: SessionHere, name: Annotated[str, Path(max_length=64)]) -> Response:
    """Make a token invalid at once; streams that it opened end within seconds."""
    await revoke_token(session, name)
    return Response(status_code=204)
