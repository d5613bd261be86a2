"""Where the API's key is read from, now and again: a file, or a command with bounds; never a command of a `.env`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time

import psutil
import pytest

from config.api_key import has_key, read_api_key
from config.environment import child_environment, load_settings
from config.errors import KeyUnavailable, SettingsError

KEY = "sk-canary-first-0123456789"


def run_python(code: str) -> str:
    """A command line that runs this code; quotes show that it is split as a shell would."""
    return f"\"{sys.executable}\" -c '{code}'"


@pytest.fixture
def command(monkeypatch):
    """Set a command in the environment; yields the function that does and returns the settings."""

    def name(line: str):
        monkeypatch.setenv("RELABEL_API__KEY_COMMAND", line)
        monkeypatch.setenv("RELABEL_RATE__NAME", "shared")
        return load_settings()

    return name


def test_a_key_is_read_from_the_secret_file_each_time(monkeypatch, tmp_path):
    """A rotated file shows its new key; spaces and the line's end are no part of it."""
    (tmp_path / "openai_api_key").write_text(f" {KEY}\n")
    monkeypatch.setenv("RELABEL_SECRETS_DIR", str(tmp_path))
    settings = load_settings()
    assert read_api_key(settings) == KEY

    (tmp_path / "openai_api_key").write_text("sk-second")
    assert read_api_key(settings) == "sk-second"

    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    assert read_api_key(load_settings()) == "sk-of-the-environment"


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"x" * 20_000])
def test_a_secret_file_that_holds_no_key_is_named_and_not_quoted(monkeypatch, tmp_path, content):
    """Also one that goes away: a sentence, and no key of before."""
    file = tmp_path / "openai_api_key"
    file.write_text(KEY)
    monkeypatch.setenv("RELABEL_SECRETS_DIR", str(tmp_path))
    settings = load_settings()

    file.write_bytes(content)
    with pytest.raises(KeyUnavailable, match="openai_api_key: ") as caught:
        read_api_key(settings)
    assert "words" not in str(caught.value)


def test_a_command_gives_the_key_and_nothing_of_it_is_logged(command, caplog, capfd):
    """Neither its output nor what it says on standard error, which may hold a token."""
    caplog.set_level(logging.DEBUG)
    settings = command(run_python(f'import sys; sys.stderr.write("canary"); print("{KEY}")'))

    assert has_key(settings)
    assert read_api_key(settings) == KEY
    assert "canary" not in caplog.text + "".join(capfd.readouterr()) + repr(settings)
    assert (
        subprocess.run(
            [sys.executable, "-c", "from config.environment import load_settings as l; print(l().api.key_command)"],
            env=child_environment(settings),
            capture_output=True,
            check=True,
        ).stdout.strip()
        == b"**********"
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/nowhere/get-token", "cannot be started"),
        (run_python("import sys; print(1); sys.exit(3)"), "exit code 3"),
        (run_python("print()"), "gives nothing"),
        (run_python('print("two words")'), "one word"),
        (run_python('print("x" * 20_000)'), "16,384 bytes"),
        (run_python('import os\nwhile True: os.write(1, b"x" * 4096)'), "16,384 bytes"),
    ],
)
def test_a_command_that_gives_no_key_is_told_with_why(command, line, says):
    """One sentence for each; an endless output is cut off."""
    with pytest.raises(KeyUnavailable, match=rf"^RELABEL_API__KEY_COMMAND: .*{says}") as caught:
        read_api_key(command(line))
    assert "words" not in str(caught.value)


def test_no_shell_reads_the_command(command, tmp_path):
    """What a shell would act on is an argument like any other."""
    settings = command(f"/bin/echo x; touch {tmp_path}/made")

    with pytest.raises(KeyUnavailable):
        read_api_key(settings)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("ends_first", [False, True])
def test_a_command_that_hangs_is_killed_with_all_that_it_started(command, tmp_path, ends_first):
    """Its process group, also where it ended itself and left a child that holds its output."""
    code = (
        "import subprocess, sys, pathlib; "
        'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]); '
        f'pathlib.Path("{tmp_path}/pid").write_text(str(child.pid)); '
        f"{'' if ends_first else 'child.wait()'}"
    )
    began = time.monotonic()

    with pytest.raises(KeyUnavailable, match="did not end within"):
        read_api_key(command(run_python(code)), within_s=1.0)

    assert time.monotonic() - began < 60
    deadline = time.monotonic() + 30
    pid = int((tmp_path / "pid").read_text()) if (tmp_path / "pid").exists() else 0
    while pid and psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.02)


def test_a_command_of_a_dotenv_is_refused(monkeypatch, tmp_path):
    """Whoever brings a folder could bring a command along, directly or through a folder of secrets."""
    (tmp_path / ".env").write_text("relabel_api__key_command=/bin/true\nRELABEL_RATE__NAME=n\n")
    with pytest.raises(SettingsError, match=r"RELABEL_API__KEY_COMMAND is set in \.env"):
        load_settings()

    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "relabel_api__key_command").write_text("/bin/true")
    (tmp_path / ".env").write_text(f"RELABEL_SECRETS_DIR={secrets}\nRELABEL_RATE__NAME=n\n")
    with pytest.raises(SettingsError, match=r"only \.env names"):
        load_settings()

    monkeypatch.setenv("RELABEL_SECRETS_DIR", str(secrets))
    settings = load_settings()
    assert settings.api.key_command is not None
    assert settings.api.key_command.get_secret_value() == "/bin/true"


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"RELABEL_API__KEY_COMMAND": "get 'token", "RELABEL_RATE__NAME": "n"}, "must be a command"),
        ({"RELABEL_API__KEY_COMMAND": "  ", "RELABEL_RATE__NAME": "n"}, "must be a command"),
        ({"RELABEL_API__KEY_COMMAND": "get", "RELABEL_RATE__NAME": "n", "OPENAI_API_KEY": "k"}, "both set"),
        ({"RELABEL_API__KEY_COMMAND": "get"}, "needs RELABEL_RATE__NAME"),
    ],
)
def test_a_command_that_is_unclear_is_refused(monkeypatch, environment, says):
    """Without a name or a project each new key would have a rate of its own."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=says):
        load_settings()


def test_without_a_key_nothing_can_be_sent():
    """The sentence says what to set."""
    assert not has_key(load_settings())
    with pytest.raises(KeyUnavailable, match="OPENAI_API_KEY is not set"):
        read_api_key(load_settings())
    assert "OPENAI_API_KEY" not in os.environ
