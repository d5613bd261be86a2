"""A receiver of notifications, written from docs/notifications.md alone: it checks signatures, and fails on request."""

from __future__ import annotations

import base64
import json
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + base64.b64encode(b"a shared secret of ours, 32 long").decode()


class WebhookReceiver:
    """Takes notifications on loopback; the first ones are answered with `failures`, status by status."""

    def __init__(self, failures: list[int] | None = None) -> None:
        self.failures = list(failures or [])
        self.taken: list[dict[str, Any]] = []
        self.tries: list[tuple[str, bytes]] = []

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hooks/T0/secret-path"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def settings(self) -> dict[str, str]:
        """What lets relabel tell this receiver."""
        return {
            "RELABEL_NOTIFY__URL": self.url,
            "RELABEL_NOTIFY__SECRET": SECRET,
            "RELABEL_NOTIFY__ALLOW_PRIVATE": "1",
        }

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        name = request.headers["webhook-id"]
        self.tries.append((name, body))
        try:
            Webhook(SECRET).verify(body, dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=403)
        if self.failures:
            return web.Response(status=self.failures.pop(0), headers={"Location": "http://127.0.0.1:1/"})
        self.taken.append(json.loads(body))
        return web.Response(status=204)
