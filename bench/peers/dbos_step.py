"""A DBOS workflow with a step a row, over SQLite; started again, it goes on.

Arguments: FILE BASE_URL DATABASE IN_FLIGHT.
"""

import asyncio
import csv
import sys

import httpx
from dbos import DBOS, SetWorkflowID

FILE, BASE_URL, DATABASE, IN_FLIGHT = sys.argv[1:]
DBOS(config={"name": "peer", "system_database_url": f"sqlite:///{DATABASE}", "log_level": "ERROR"})
client = httpx.AsyncClient(base_url=BASE_URL, headers={"Authorization": "Bearer x"})


@DBOS.step(retries_allowed=True, max_attempts=5)
async def update(completion_id: str, metadata: dict[str, str]) -> None:
    answer = await client.post(f"/chat/completions/{completion_id}", json={"metadata": metadata})
    answer.raise_for_status()


@DBOS.workflow()
async def update_all(file: str) -> str:
    updated = lost = 0
    with open(file, newline="") as source:  # noqa: ASYNC230, PTH123 - as people write it
        rows = list(csv.DictReader(source))
    for at in range(0, len(rows), int(IN_FLIGHT)):
        steps = [update(row.pop("completion_id"), row) for row in rows[at : at + int(IN_FLIGHT)]]
        ended = await asyncio.gather(*steps, return_exceptions=True)
        lost += sum(isinstance(each, Exception) for each in ended)
        updated += sum(each is None for each in ended)
    return f"{updated} updated, {lost} lost"


async def main() -> None:
    DBOS.launch()
    with SetWorkflowID("peer"):
        handle = await DBOS.start_workflow_async(update_all, FILE)
    print(await handle.get_result())
    DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(main())
