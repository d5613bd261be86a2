"""Whose certificates are believed: the CAs that the environment names alone, else the machine's, else certifi's."""

from __future__ import annotations

import ssl

import certifi
import pytest
import trustme

from config.errors import SettingsError
from config.trust import stand_in_for, trusted_cas


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    """Nothing of the machine's environment counts."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def test_a_file_that_is_named_counts_alone(monkeypatch, tmp_path):
    """As in release one: whoever names CAs means these."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    context = trusted_cas()

    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_that_cannot_be_used_is_named(monkeypatch, tmp_path, content):
    """Missing, empty, or something else: a sentence instead of a handshake that fails without a reason."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    with pytest.raises(SettingsError, match=r"^SSL_CERT_FILE: .*ca\.pem .*correct it"):
        trusted_cas()


def test_a_folder_without_cas_is_named(monkeypatch, tmp_path):
    """OpenSSL takes an empty one, or none, without a word, and then trusts nobody."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        monkeypatch.setenv("SSL_CERT_DIR", str(folder))
        with pytest.raises(SettingsError, match=r"^SSL_CERT_DIR: .*openssl rehash"):
            trusted_cas()

    (tmp_path / "0a1b2c3d.0").touch()
    monkeypatch.setenv("SSL_CERT_DIR", f"/nowhere:{tmp_path}")
    assert trusted_cas().get_ca_certs() == []  # those of a folder are read when one is looked for


def test_a_machine_without_cas_of_its_own_trusts_those_of_certifi(tmp_path):
    """A slim container has no store; one whose store is there keeps to it."""
    paths = ssl.get_default_verify_paths()
    for empty in ({"cafile": None, "capath": None}, {"cafile": None, "capath": str(tmp_path)}):
        assert stand_in_for(paths._replace(**empty)) == certifi.where()

    assert stand_in_for(paths._replace(cafile=certifi.where(), capath=None)) is None
    (tmp_path / "0a1b2c3d.0").touch()
    assert stand_in_for(paths._replace(cafile=None, capath=str(tmp_path))) is None
    assert trusted_cas().get_ca_certs() or paths.capath
