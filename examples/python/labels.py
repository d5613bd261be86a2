"""Label completions, look at what failed, and take it back."""

import relabel

LABELS = {
    "chatcmpl-ElXmqexampleselect00000000000": {"quality": "good"},
    "chatcmpl-ElYiuexampleselect00000000001": {"quality": "fair", "score": relabel.REMOVE},
    "chatcmpl-ElXmqexampleselect0000000gone": {"quality": "good"},
}

with relabel.connect() as client:
    job = client.submit(LABELS.items(), name="labels")
    status = job.wait(progress=True)
    print(f"updated {status.rows.updated}")
    for row in job.rows(outcome="failed"):
        print(f"failed {row['completion_id']}: {row['code']}")

    undone = job.undo().wait()
    undone.raise_for_failures()
    print(f"restored {undone.rows.updated}")
