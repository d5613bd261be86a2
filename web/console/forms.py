"""Forms: each is one of ours, sent by the page on which it was shown."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Form, Request

from web.console.pages import Reader, form_check
from web.refusals import Refusal


async def _check(request: Request, caller: Reader, check: Annotated[str, Form(max_length=100)] = "") -> None:
    """Raise Refusal unless the form is of a page of ours; `web.peers` has compared its `Origin` with ours."""
    if "origin" not in request.headers or not hmac.compare_digest(check.encode(), form_check(caller).encode()):
        raise Refusal("origin_not_allowed", "this form was not sent by a page of the console.")


FormCheck = Annotated[None, Depends(_check)]
