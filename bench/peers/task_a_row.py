"""The usual Celery design: a task a row, httpx, a Redis hash of results. The worker is started with `-A`."""

import csv
import os
import sys

import httpx
import redis
from celery import Celery

REDIS, BASE_URL = os.environ["PEER_REDIS"], os.environ["PEER_BASE_URL"]
app = Celery("peer", broker="redis+socket://" + REDIS)
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=16)
client = httpx.Client(base_url=BASE_URL, headers={"Authorization": "Bearer x"})
results = redis.Redis(unix_socket_path=REDIS)


@app.task(name="update", autoretry_for=(httpx.HTTPError,), retry_backoff=True, max_retries=5)
def update(completion_id: str, metadata: dict[str, str]) -> None:
    answer = client.post(f"/chat/completions/{completion_id}", json={"metadata": metadata})
    answer.raise_for_status()
    results.hset("peer:results", completion_id, answer.status_code)


if __name__ == "__main__":
    with open(sys.argv[1], newline="") as source:  # noqa: PTH123 - as people write it
        for row in csv.DictReader(source):
            update.delay(row.pop("completion_id"), row)
