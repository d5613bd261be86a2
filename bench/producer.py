"""What reading costs: check + fold + shards, rows a second of CPU time and peak memory, in a process of its own.

python -m bench.producer [ROWS] [--repeated SHARE]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARD_ROWS = 500
_ID_CHARS = string.ascii_letters + string.digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--repeated", type=float, default=0.0, help="share of rows whose id came before")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    with tempfile.TemporaryDirectory(prefix="relabel-bench-") as folder:
        for ending in ("csv", "jsonl"):
            path = Path(folder) / f"patches.{ending}"
            generate(path, options.rows, options.repeated)
            command = [sys.executable, "-m", "bench.producer", "--measure", str(path)]
            subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)
            path.unlink()


def generate(path: Path, rows: int, repeated: float) -> None:
    rng = random.Random(1)
    ids = ["chatcmpl-" + "".join(rng.choices(_ID_CHARS, k=29))]
    with path.open("w") as file:
        if path.suffix == ".csv":
            file.write("completion_id,team,ticket,review\n")
        for row in range(rows):
            again = repeated and rng.random() < repeated
            completion_id = rng.choice(ids) if again else f"chatcmpl-{rng.getrandbits(150):029x}"[:38]
            if repeated and len(ids) < 100_000:
                ids.append(completion_id)
            team, ticket, review = f"team-{row % 40}", f"OPS-{row}", "2026-01-31T10:00:00Z"
            if path.suffix == ".csv":
                file.write(f"{completion_id},{team},{ticket},{review}\n")
            else:
                metadata = {"team": team, "ticket": ticket, "review": review}
                file.write(json.dumps({"completion_id": completion_id, "metadata": metadata}) + "\n")


def measure(path: Path) -> None:
    from ledger.job import Mode  # noqa: PLC0415 - the parent does not need it
    from producer.check import check  # noqa: PLC0415
    from producer.source import open_source  # noqa: PLC0415

    began = time.process_time()
    with open_source(path) as source, check(source, mode=Mode.MERGE, spool_dir=path.parent) as checked:
        checked_at = time.process_time()
        stored = sum(len(shard.body) for shard in checked.shards(SHARD_ROWS))
        ended = time.process_time()
        rows = checked.total + checked.folded + checked.rejected
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{path.suffix[1:]:5} {rows:>10,} rows  {rows / (ended - began):>9,.0f} rows/s of CPU  "
        f"check+fold {checked_at - began:.2f} s, shards {ended - checked_at:.2f} s  "
        f"peak {peak:.0f} MB  folded {checked.folded:,}  {stored / rows:.0f} bytes a row"
    )


if __name__ == "__main__":
    main()
