"""The script that relabel replaces: the official SDK with asyncio. Arguments: FILE BASE_URL IN_FLIGHT."""

import asyncio
import csv
import sys

from openai import APIError, AsyncOpenAI


async def main(file: str, base_url: str, in_flight: int) -> None:
    client = AsyncOpenAI(api_key="x", base_url=base_url)
    slots = asyncio.Semaphore(in_flight)

    async def update(row: dict[str, str]) -> bool:
        async with slots:
            completion_id = row.pop("completion_id")
            try:
                await client.chat.completions.update(completion_id, metadata=row)
            except APIError:
                return False
            return True

    with open(file, newline="") as source:  # noqa: ASYNC230, PTH123 - as people write it
        updated = await asyncio.gather(*(update(row) for row in csv.DictReader(source)))
    print(f"{sum(updated)} updated, {len(updated) - sum(updated)} lost")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
