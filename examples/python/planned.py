"""Select completions, plan a change, apply exactly what the plan shows, and verify it: asynchronously."""

import asyncio

import relabel.aio


async def main() -> None:
    """Go once through the loop."""
    async with relabel.aio.connect() as client:
        selected = await client.select(where="not has(metadata.dataset)", set={"dataset": "eval"})
        plan = await client.plan(selected)
        for change in (await plan.wait()).changes:
            print(f"{change.key}: {change.before} to {change.after} in {change.rows} rows")

        job = await plan.apply(canary="10%")
        (await job.wait()).raise_for_failures()
        verified = await (await job.verify()).wait()
        print(f"verified {verified.rows.unchanged}")


asyncio.run(main())
