"""Certificates of CAs that only the tests know, as PEM files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import trustme

HOST = "127.0.0.1"


class Certificate(NamedTuple):
    """The files of a certificate, its key, and the CA that signed it."""

    cert: Path
    key: Path
    ca: Path


def new_certificate(folder: Path, name: str, *, by: trustme.CA, expired: bool = False) -> Certificate:
    """Have a certificate signed for this machine."""
    day = dt.timedelta(days=1)
    now = dt.datetime.now(dt.UTC)
    times = {"not_before": now - 2 * day, "not_after": now - day} if expired else {}
    signed = by.issue_cert(HOST, "localhost", **times)
    files = Certificate(*(folder / f"{name}.{kind}.pem" for kind in ("cert", "key", "ca")))
    signed.cert_chain_pems[0].write_to_path(files.cert)
    signed.private_key_pem.write_to_path(files.key)
    by.cert_pem.write_to_path(files.ca)
    return files
