"""Loads the CAs that TLS servers outside are checked by: those the environment names, else this machine's."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

import certifi

from config.errors import SettingsError

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""File names under which OpenSSL finds a CA in a folder. Source: openssl-rehash(1)."""


def trusted_cas() -> ssl.SSLContext:
    """Return a client context with the CAs of `SSL_CERT_FILE` and `SSL_CERT_DIR`, else with those of this machine.

    A machine without any, such as a slim container, uses those that `certifi` brings. They are read once: on Linux
    truststore reads them for each connection, 0.1 s in which nothing else goes on.

    Raises:
        SettingsError: the file or folder that is named cannot be used.

    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folder:
        return ssl.create_default_context(cafile=stand_in_for(ssl.get_default_verify_paths()))
    if folder and not any(map(_holds_cas, folder.split(os.pathsep))):
        raise SettingsError(
            f"SSL_CERT_DIR: {folder} is no folder with CAs; name one that `openssl rehash` was run on, or unset it."
        )
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:
        why = "holds no CA as PEM" if isinstance(error, ssl.SSLError) else f"cannot be read ({type(error).__name__})"
        raise SettingsError(f"SSL_CERT_FILE: {file} {why}; correct it, or unset it.") from None


def stand_in_for(paths: ssl.DefaultVerifyPaths) -> str | None:
    """Return the file of CAs that stands in where these places, OpenSSL's own, hold none; None where they do."""
    has_file = paths.cafile is not None and Path(paths.cafile).stat().st_size > 0
    has_folder = paths.capath is not None and _holds_cas(paths.capath)
    return None if has_file or has_folder else certifi.where()


def _holds_cas(folder: str) -> bool:
    try:
        return any(_HASHED.fullmatch(path.name) for path in Path(folder).iterdir())
    except OSError:
        return False
