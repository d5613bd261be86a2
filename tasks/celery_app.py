"""Creates the Celery application from the settings."""

from __future__ import annotations

from celery import Celery

from config.settings import Settings
from tasks.broker_transport import transport_of

QUEUE = "relabel"
TASK_TIME_LIMIT_S = 900
"""Backstop only: a turn ends itself after some 30 s, or waits for Redis (facts, section 1.4: never a soft limit)."""


def make_app(settings: Settings) -> Celery:
    """Return the application, which can send messages; nothing is connected yet. Its values: facts section 1.4.

    Raises:
        SettingsError: no Redis server is set.

    """
    broker = transport_of(settings)
    app = Celery("relabel", broker=broker.url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        result_expires=None,  # else beat sends a task each night that cleans up results, of which there are none
        task_store_errors_even_if_ignored=False,
        task_acks_late=True,
        # the message of a child that died is acknowledged, so that Flower shows the failure: rescue sends another
        task_reject_on_worker_lost=False,
        task_acks_on_timeout=False,
        task_time_limit=TASK_TIME_LIMIT_S,
        worker_concurrency=settings.worker.children,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=True,
        task_send_sent_event=True,
        worker_hijack_root_logger=False,
        worker_consumer="tasks.consumer:Consumer",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_use_ssl=broker.use_ssl,
        broker_transport_options=broker.transport_options,
        task_serializer="json",
        accept_content=["json"],
    )
    return app
