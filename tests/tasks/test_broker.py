"""A look at the broker tells how many messages wait."""

from __future__ import annotations

from config.settings import Settings
from tasks.announce import announce
from tasks.broker import Broker
from tasks.celery_app import make_app


def test_messages_that_no_worker_has_taken_are_counted(redis_url: str):
    """In the queue as Celery names it in Redis; before anybody has sent anything there are none."""
    settings = Settings(_env_file=None, redis={"url": redis_url})
    broker = Broker(settings)
    assert broker.queue_length() == 0

    app = make_app(settings)
    announce(app, "20261125-000000-0000", [0, 1, 2])

    assert broker.queue_length() == 3
