"""Which workers take the messages of the nightly run."""

from __future__ import annotations

import os

from config.settings import Settings
from tasks.worker_app import make_worker_app


def queues(settings: Settings, owner: int | None = None) -> set[str]:
    """The queues that a worker with these settings takes from."""
    app = make_worker_app(settings, owner=owner)
    taken = set(app.amqp.queues.consume_from)
    app.close()
    return taken


def test_a_worker_with_the_inbox_takes_them_beside_the_shards(settings):
    """Without being told a queue."""
    assert queues(settings) == {"relabel", "relabel.nightly"}


def test_a_worker_without_the_inbox_leaves_them_to_others(settings):
    """As does the one that `relabel run` brings along, which ends with its own job."""
    without = settings.model_copy(update={"nightly": settings.nightly.model_copy(update={"inbox": None})})

    assert queues(without) == {"relabel"}
    assert queues(settings, owner=os.getpid()) == {"relabel"}
