"""`make bench`: what relabel costs, part by part, beside what people use today.

python -m bench [PART ...] [--rows N] [--repeats N]; without a part, all but `profile`. Each part is bounded in time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from bench import (
    against,
    cost,
    flat,
    history,
    latency,
    limiter,
    listing,
    lost_rows,
    memory,
    plan,
    preview,
    producer,
    profile,
    read_ahead,
    select,
    startup,
    verify,
    watched,
    web,
    web_costs,
)
from bench.results_file import record, write

PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "startup": startup.main,
    "cost": cost.main,
    "plan": plan.main,
    "verify": verify.main,
    "flat": flat.main,
    "latency": latency.main,
    "watched": watched.main,
    "producer": producer.main,
    "preview": preview.main,
    "history": history.main,
    "memory": memory.main,
    "listing": listing.main,
    "read-ahead": read_ahead.main,
    "select": select.main,
    "limiter": lambda options: asyncio.run(limiter.main(options)),
    "web": web.main,
    "web-costs": web_costs.main,
    "lost-rows": lambda options: asyncio.run(lost_rows.main(options)),
    "peers": against.main,
    "profile": profile.main,
}
"""Each prints one table; their files say what they measure."""
LONG = {"profile"}
"""Parts that are run only when they are named."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what relabel costs.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rows", type=int, help="rows of a run; each part has its own default")
    parser.add_argument("--repeats", type=int, help="runs of which the median is taken; each part has its own default")
    parser.add_argument("--write", action="store_true", help="put what is measured into bench/RESULTS.md")
    parser.add_argument("--seconds", type=int, default=30, help="limiter: length of a run")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    print(machine())
    if options.write:
        write("machine", machine() + "\n")
    for name in options.parts or [name for name in PARTS if name not in LONG]:
        print(f"\n## {name} (load before: {os.getloadavg()[0]:.1f})\n", flush=True)
        measure = partial(PARTS[name], options)
        record(name, measure) if options.write else measure()


def machine() -> str:
    """Return what the figures depend on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("celery", "httpx", "aiohttp", "redis", "openai"))
    return f"{os.cpu_count()} cores, {platform.system()}, Python {sys.version.split()[0]}; {libraries}"


if __name__ == "__main__":
    main()
