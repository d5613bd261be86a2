"""A Dramatiq message a row, httpx, a Redis hash of results. The worker is started with `dramatiq MODULE`."""

import csv
import os
import sys

import dramatiq
import httpx
import redis
from dramatiq.brokers.redis import RedisBroker

REDIS, BASE_URL = os.environ["PEER_REDIS"], os.environ["PEER_BASE_URL"]
dramatiq.set_broker(RedisBroker(url="unix://" + REDIS))
client = httpx.Client(base_url=BASE_URL, headers={"Authorization": "Bearer x"})
results = redis.Redis(unix_socket_path=REDIS)


@dramatiq.actor(max_retries=5, min_backoff=500)
def update(completion_id: str, metadata: dict[str, str]) -> None:
    answer = client.post(f"/chat/completions/{completion_id}", json={"metadata": metadata})
    answer.raise_for_status()
    results.hset("peer:results", completion_id, answer.status_code)


if __name__ == "__main__":
    with open(sys.argv[1], newline="") as source:  # noqa: PTH123 - as people write it
        for row in csv.DictReader(source):
            update.send(row.pop("completion_id"), row)
