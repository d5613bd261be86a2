"""The API's name or certificate is wrong."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from ledger.job import JobState
from tests.harness.cluster import Cluster
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until


async def test_a_host_that_cannot_be_resolved_fails_no_row(cluster: Cluster) -> None:
    """Row 22: rows wait for the name to be there again, and the job says that the API is failing."""
    rows = PatchRows(60)
    nowhere = "https://no-such-host.invalid/v1"  # RFC 2606 keeps `.invalid` out of the DNS
    await cluster.worker(base_url=nowhere, api={"attempts": 2})
    job_id = await cluster.start_job(rows, target=nowhere)

    async def waits() -> bool:
        job = await cluster.job(job_id)
        return job is not None and job.waits.paused_by == "failing"

    await wait_until(waits, within=60, what="the job says that the API is failing")

    job = await cluster.job(job_id)
    assert job is not None
    assert (job.state, job.counts.pending) == (JobState.RUNNING, 60)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
@pytest.mark.parametrize(
    ("name", "days", "trusted", "says"),
    [
        ("IP:127.0.0.1", 2, False, "self-signed certificate"),
        ("DNS:other.example", 2, True, "not valid for '127.0.0.1'"),
        ("IP:127.0.0.1", -1, True, "certificate has expired"),
    ],
    ids=["untrusted", "wrong host", "expired"],
)
async def test_a_certificate_that_is_not_good_pauses_the_job(
    cluster: Cluster, name: str, days: int, trusted: bool, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 22: no request gets through, the job pauses and says what is to be mended."""
    certificate, key = _certificate(tmp_path, name, days=days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    heard = []

    async def observe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1))
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with await asyncio.start_server(observe, "127.0.0.1", 0, ssl=context) as server:
        base_url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        await cluster.worker(base_url=base_url)
        job_id = await cluster.start_job(PatchRows(60), target=base_url)

        job = await cluster.in_state(job_id, JobState.PAUSED)

    assert (job.reason_code, job.counts.failed, job.counts.pending) == ("tls", 0, 60)
    assert says in (job.reason or "")
    assert not any(heard)


def _certificate(folder: Path, name: str, *, days: int) -> tuple[Path, Path]:
    """A certificate for the name, signed by itself, that is good for so many days from now on."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    request, extensions = folder / "request.pem", folder / "extensions"
    extensions.write_text(f"subjectAltName={name}\n")
    files = ["-keyout", str(key), "-out", str(request)]
    signed = ["-extfile", str(extensions), "-in", str(request), "-out", str(certificate)]
    for command in (
        ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", *files],
        ["x509", "-req", "-signkey", str(key), "-days", str(days), *signed],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    return certificate, key
