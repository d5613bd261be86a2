"""The settings of the nightly run and of notifications: what is refused, and in which words."""

from __future__ import annotations

import pytest

from cli.options import MaxFailures
from config.environment import child_environment, load_settings
from config.errors import SettingsError

NIGHTLY, NOTIFY = "RELABEL_NIGHTLY__", "RELABEL_NOTIFY__"


def refusal(monkeypatch: pytest.MonkeyPatch, **settings: str) -> str:
    """Return the words in which settings are refused."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("@daily", "must be a cron line of five fields"),
        ("0 30 2 * * *", "must be a cron line of five fields"),
        ("30 25 * * *", "is no cron line (bad hour)"),
        ("30 2 30 2 *", "is no cron line (bad day-of-month)"),
        ("a b c d e", "is no cron line (bad minute)"),
    ],
)
def test_a_cron_line_that_means_nothing_is_refused(monkeypatch, cron, said):
    """Wherever settings are read, and so by beat and by workers, too."""
    assert f"RELABEL_NIGHTLY__CRON: {said}" in refusal(monkeypatch, **{f"{NIGHTLY}CRON": cron})


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Europe", "../../etc/passwd", "+02:00"])
def test_a_time_zone_that_is_none_is_refused(monkeypatch, zone):
    """By the IANA's names."""
    said = refusal(monkeypatch, **{f"{NIGHTLY}TIME_ZONE": zone})

    assert said == "RELABEL_NIGHTLY__TIME_ZONE: must be an IANA time zone such as Europe/Berlin or UTC."


@pytest.mark.parametrize("limit", ["101%", "5.5", "-1", "100.5%", "many"])
def test_a_limit_of_failures_that_is_none_is_refused(monkeypatch, limit):
    """In the words of `--max-failures`."""
    assert "must be a share of the rows like 5%, a number of rows, or none" in refusal(
        monkeypatch, **{f"{NIGHTLY}MAX_FAILURES": limit}
    )


def test_options_of_reading_that_cannot_be_read_are_refused(monkeypatch):
    """In the words of the command line's option, before any file is looked at."""
    said = refusal(monkeypatch, **{f"{NIGHTLY}INPUT": "--delimiter ab"})

    assert said.startswith("RELABEL_NIGHTLY__INPUT: must be options of `relabel submit` that say how a file is read")
    assert "--delimiter: must be one character" in said


def test_options_of_reading_reach_a_process_of_ours_as_they_are(monkeypatch):
    """With their quotes."""
    monkeypatch.setenv(f"{NIGHTLY}INPUT", "--delimiter ';' --null ''")
    settings = load_settings()

    assert (settings.nightly.input_options.delimiter, settings.nightly.input_options.null) == (";", frozenset({""}))
    assert child_environment(settings)[f"{NIGHTLY}INPUT"] == "--delimiter ';' --null ''"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"URL": "ftp://example.com"}, "URL: must be a URL such as"),
        ({"URL": "https://user:pass@example.com/x"}, "URL: must hold no user, password or fragment"),
        ({"URL": "http://example.com/x"}, "its URL must use https"),
        ({"SECRET": "sixteen letters, at least"}, "SECRET: must be whsec_ and Base64"),
        ({"SECRET": "whsec_not base64!"}, "SECRET: must be Base64 after whsec_"),
        ({"SECRET": "whsec_größer"}, "SECRET: must be Base64 after whsec_"),
        ({"SECRET": "whsec_c2hvcnQ="}, "SECRET: must hold at least 16 bytes"),
    ],
)
def test_a_webhook_that_is_unsafe_is_refused_without_showing_it(monkeypatch, settings, said):
    """A webhook's URL is a secret: whoever has it may write there."""
    refused = refusal(monkeypatch, **{f"{NOTIFY}{name}": value for name, value in settings.items()})

    assert said in refused
    assert not any(value in refused for value in settings.values())


def test_a_child_process_reads_the_same_nights_and_notices(monkeypatch, tmp_path):
    """With its secrets, its folder and its yes and no."""
    given = {
        f"{NIGHTLY}CRON": "30  2 * * MON-FRI",
        f"{NIGHTLY}TIME_ZONE": "America/New_York",
        f"{NIGHTLY}INBOX": str(tmp_path),
        f"{NIGHTLY}MAX_FAILURES": "2.5%",
        f"{NOTIFY}URL": "http://hooks.example.com/x",
        f"{NOTIFY}SECRET": " whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\n",
        f"{NOTIFY}ALLOW_PRIVATE": "1",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()

    for name, value in child_environment(settings).items():
        monkeypatch.setenv(name, value)

    assert load_settings() == settings
    assert settings.nightly.cron == "30 2 * * MON-FRI"
    assert "hooks" not in repr(settings)


@pytest.mark.parametrize("limit", ["5%", " 0.5% ", "20", "none"])
def test_a_limit_of_failures_is_read_as_the_option_reads_it(monkeypatch, limit):
    """By one grammar, with space around it, too."""
    monkeypatch.setenv(f"{NIGHTLY}MAX_FAILURES", limit)

    assert load_settings().nightly.max_failures == limit.strip()
    assert MaxFailures().convert(limit, None, None) == limit.strip()
