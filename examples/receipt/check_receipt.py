"""Recomputes the digests of a receipt from the job's report, with Python's standard library alone.

python check_receipt.py receipt.json report.jsonl
"""

import hashlib
import json
import sys
from pathlib import Path


def canonical(value):
    """Return JSON by RFC 8785, for what stands in a line: texts, nulls, lists and maps of these."""
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(member)}" for key, member in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def rows(report):
    """Yield the rows that workers carried out; the others have no line in a digest."""
    with Path(report).open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            about = row["relabel"]
            if about["outcome"] not in ("rejected", "folded") and about["code"] != "no_change":
                yield row.get("completion_id") or row["id"], row["metadata"], about


def job_digest(receipt, lines):
    """Return the digest of the lines: that of each shard, then that of what the job is for and of all shards."""
    job, size = receipt["job"], receipt["digests"]["shard_rows"]
    whole = hashlib.sha256(f"{canonical([job['target'], job['mode']])}\n".encode())
    shard, number = hashlib.sha256(), 0
    for line in lines:
        shard.update(f"{canonical(line)}\n".encode())
        number += 1
        if number % size == 0:
            whole.update(f"{shard.hexdigest()}\n".encode())
            shard = hashlib.sha256()
    if number % size:
        whole.update(f"{shard.hexdigest()}\n".encode())
    return whole.hexdigest()


def main(receipt_path, report):
    """Compare both digests; return the exit code."""
    receipt = json.loads(Path(receipt_path).read_text(encoding="utf-8"))
    found = {
        "input": job_digest(receipt, ([row_id, patch] for row_id, patch, _ in rows(report))),
        "outcomes": job_digest(
            receipt, ([row_id, about["before"], about["after"], about["outcome"]] for row_id, _, about in rows(report))
        ),
    }
    for name, digest in found.items():
        same = digest == receipt["digests"][name]
        sys.stdout.write(f"{name}: {'as in the receipt' if same else f'DIFFERS, the report gives {digest}'}\n")
    return 0 if all(found[name] == receipt["digests"][name] for name in found) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
