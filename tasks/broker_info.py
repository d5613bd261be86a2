"""What a worker tells of its broker to whoever asks: Flower and `celery inspect stats`."""

from __future__ import annotations

from typing import Any

from celery import bootsteps


class HideBrokerCredentials(bootsteps.StartStopStep):
    """Tells where the broker is; Celery's own step shows the whole URL of a socket, and so its password."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def info(self, obj: Any) -> dict[str, Any]:  # type: ignore[override] # the stubs know no answer
        """Give the facts that go before those of Celery's own step."""
        told: dict[str, Any] = dict(obj.connection.info()) if obj.connection else {}
        for name in ("password", "alternates"):
            told.pop(name, None)
        if "://" in str(told.get("hostname")):
            told["hostname"] = obj.connection.as_uri()
        return {"broker": told}
