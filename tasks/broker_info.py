"""What a worker reports of its broker to Flower and `celery inspect stats`."""

from __future__ import annotations

from typing import Any

from celery import bootsteps


class HideBrokerCredentials(bootsteps.StartStopStep):
    """Reports the broker without its password; Celery's own step shows the whole URL of a socket."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def info(self, obj: Any) -> dict[str, Any]:  # type: ignore[override] # the stubs know no answer
        """Return the facts that replace those of Celery's own step."""
        facts: dict[str, Any] = dict(obj.connection.info()) if obj.connection else {}
        for name in ("password", "alternates"):
            facts.pop(name, None)
        if "://" in str(facts.get("hostname")):
            facts["hostname"] = obj.connection.as_uri()
        return {"broker": facts}
