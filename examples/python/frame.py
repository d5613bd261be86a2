"""Read a selection as a DataFrame, label it, submit it, and get the report as a DataFrame."""

import pandas as pd

import relabel

with relabel.connect() as client:
    found = client.select(metadata={"team": "search"}, keys=["score"])
    frame = pd.DataFrame([{"completion_id": completion_id, **metadata} for completion_id, metadata in found])
    score = pd.to_numeric(frame["score"], errors="coerce")
    frame["quality"] = score.ge(0.8).map({True: "good", False: "fair"}).where(score.notna())  # missing: left alone

    job = client.submit(frame[["completion_id", "quality"]], name="quality")
    job.wait().raise_for_failures()
    report = pd.DataFrame(job.rows())
    print(report.groupby(["outcome", "metadata.quality"], dropna=False).size().to_string())
