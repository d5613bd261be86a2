"""Reads the API's key from where it is kept: at the start, and again when it was refused."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from config import checks
from config.errors import KeyUnavailable
from config.settings import Settings
from config.text import register_secret

COMMAND_S = 10.0
"""Longest that the command may take; then its process group is killed."""
MOST_BYTES = 16 * 1024
"""Most that is read of the command's output, or of the file. Microsoft Entra's tokens have some 2 KiB."""
COMMAND = "RELABEL_API__KEY_COMMAND"
_FILE_NAME = "openai_api_key"


def has_key(settings: Settings) -> bool:
    """Return whether the settings say where the key is."""
    return settings.openai_api_key is not None or settings.api.key_command is not None


def read_api_key(settings: Settings, *, within_s: float = COMMAND_S) -> str:
    """Return the key as it is now: the command's output, else the secret file's text, else the settings' own.

    Blocks for as long as the command runs, `within_s` at most.

    Raises:
        KeyUnavailable: the command or the file gives no key, or no key is set.

    """
    if settings.api.key_command is not None:
        return _key(COMMAND, _output_of(shlex.split(settings.api.key_command.get_secret_value()), within_s))
    if file := key_file(settings):
        return _key(str(file), _content_of(file))
    if settings.openai_api_key is None:
        raise KeyUnavailable("OPENAI_API_KEY is not set; set it.")
    return settings.openai_api_key.get_secret_value()


def key_file(settings: Settings) -> Path | None:
    """Return the file of the secrets folder that holds the key; None where the key is elsewhere."""
    if settings.secrets_dir is None:
        return None
    for source in (EnvSettingsSource(Settings), DotEnvSettingsSource(Settings)):
        if source.env_vars.get(_FILE_NAME):
            return None
    with contextlib.suppress(OSError):
        return next((path for path in settings.secrets_dir.iterdir() if path.name.lower() == _FILE_NAME), None)
    return settings.secrets_dir / _FILE_NAME


def _key(where: str, read: bytes) -> str:
    try:
        key = checks.api_key(SecretStr(read.decode()))
    except ValueError:
        raise KeyUnavailable(f"{where}: gives no key; it must be one word of plain characters.") from None
    if key is None or not key.get_secret_value():
        raise KeyUnavailable(f"{where}: gives nothing; it must give the key.")
    register_secret(key.get_secret_value())
    return key.get_secret_value()


def _content_of(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise KeyUnavailable(f"{file}: cannot be read ({type(error).__name__}).") from None
    if len(content) > MOST_BYTES:
        raise KeyUnavailable(f"{file}: is longer than {MOST_BYTES:,} bytes, so it is no key.")
    return content


def _output_of(command: list[str], within_s: float) -> bytes:
    """Run the command without a shell, with neither input nor a place for its errors, in a session of its own."""
    try:
        process = subprocess.Popen(  # noqa: S603 - named by whoever sets up the process, see `config.environment`
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise KeyUnavailable(f"{COMMAND}: cannot be started ({type(error).__name__}); correct it.") from None
    with process:
        try:
            output = _read_to_end(process, within_s)
        except BaseException:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise KeyUnavailable(f"{COMMAND}: ended with exit code {process.returncode}; run it by hand to see why.")
    return output


def _read_to_end(process: subprocess.Popen[bytes], within_s: float) -> bytes:
    deadline = time.monotonic() + within_s
    too_slow = KeyUnavailable(f"{COMMAND}: did not end within {within_s:g} s.")
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout or 0, selectors.EVENT_READ)
        while len(output) <= MOST_BYTES:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise too_slow
            part = os.read(process.stdout.fileno() if process.stdout else 0, 4096)
            if not part:
                break
            output += part
        else:
            raise KeyUnavailable(f"{COMMAND}: gives more than {MOST_BYTES:,} bytes, so it is no key.")
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise too_slow from None
    return output
