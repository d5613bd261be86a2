"""Settings: where they come from, what is refused, and that no secret is shown or lost on the way to a child."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest
from pydantic import ValidationError

from config.environment import child_environment, environment_names, load_settings, warn_of_base_url
from config.errors import SettingsError
from config.settings import Settings

SECRET = "sk-secret-0d77"


def test_without_an_environment_everything_has_its_default():
    """The public API, no key, the cautious rate."""
    settings = load_settings()

    assert settings.openai_base_url == "https://api.openai.com/v1"
    assert settings.openai_api_key is None
    assert (settings.rate.per_minute, settings.worker.in_flight, settings.redis.url) == (600, 64, None)


def test_prefix_and_double_underscore_name_a_setting(monkeypatch):
    """`RELABEL_RATE__PER_MINUTE` is `rate.per_minute`; the other settings of the group keep their defaults."""
    monkeypatch.setenv("RELABEL_RATE__PER_MINUTE", "1200")
    monkeypatch.setenv("RELABEL_LOG_LEVEL", "DEBUG")

    settings = load_settings()

    assert (settings.rate.per_minute, settings.rate.burst, settings.log_level) == (1200, None, "DEBUG")


def test_the_names_of_the_official_client_are_honoured(monkeypatch):
    """OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_ORG_ID and OPENAI_PROJECT_ID count as they are."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://eu.api.openai.com/v1/")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")

    settings = load_settings()

    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == SECRET
    assert settings.openai_base_url == "https://eu.api.openai.com/v1"
    assert (settings.openai_org_id, settings.openai_project_id) == ("org-1", "proj-1")


def test_an_empty_variable_is_as_good_as_none(monkeypatch):
    """`OPENAI_API_KEY=` in a CI file means that there is no key."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("RELABEL_RATE__PER_MINUTE", "")

    settings = load_settings()

    assert (settings.openai_api_key, settings.rate.per_minute) == (None, 600)


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch, tmp_path):
    """Both kinds of names, with other programs' lines left alone."""
    lines = ["OPENAI_API_KEY=from-file", "RELABEL_RATE__PER_MINUTE=1200", "RELABEL_RATE__BURST=7", "OTHER=1"]
    (tmp_path / ".env").write_text("\n".join(lines))
    monkeypatch.setenv("RELABEL_RATE__PER_MINUTE", "2400")

    settings = load_settings()

    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "from-file"
    assert (settings.rate.per_minute, settings.rate.burst) == (2400, 7)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "https://res.openai.azure.com/openai/v1",
        "http://localhost:8080/v1",
        "http://127.0.0.9:1/v1",
        "http://[::1]:4010",
    ],
)
def test_a_base_url_is_https_or_loopback(monkeypatch, url):
    """The key travels encrypted or stays on this machine."""
    monkeypatch.setenv("OPENAI_BASE_URL", url)

    assert load_settings().openai_base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.openai.com/v1",
        "http://localhost.example.com/v1",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1/v1",
        "http://0.0.0.0:8080/v1",
        "ftp://127.0.0.1/v1",
        "api.openai.com/v1",
        "https://",
        f"https://user:{SECRET}@api.openai.com/v1",
        f"https://api.openai.com/v1?key={SECRET}",
        "https://api.openai.com/v1#part",
    ],
)
def test_any_other_base_url_is_refused_without_being_quoted(monkeypatch, url):
    """Hosts that only begin like loopback are no loopback; a password in the URL is not shown."""
    monkeypatch.setenv("OPENAI_BASE_URL", url)

    with pytest.raises(SettingsError, match=r"^OPENAI_BASE_URL: must") as refused:
        load_settings()

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("url", ["https://api.openai.com:many/v1", "https://api.openai.com:0/v1", "http://[::1/v1"])
def test_a_base_url_that_cannot_be_taken_apart_is_refused(monkeypatch, url):
    """A port that is no number, a bracket that is not closed."""
    monkeypatch.setenv("OPENAI_BASE_URL", url)

    with pytest.raises(SettingsError, match=r"^OPENAI_BASE_URL: "):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELABEL_RATE__PER_MINUTE", "0"),
        ("RELABEL_RATE__PER_MINUTE", "fast"),
        ("RELABEL_RATE__PER_MINUTE", "nan"),
        ("RELABEL_RATE__PER_MINUTE", "inf"),
        ("RELABEL_WORKER__CHILDREN", "0"),
        ("RELABEL_API__AUTH", "basic"),
        ("RELABEL_API__TIMEOUT_S", "-1"),
        ("RELABEL_LOG_LEVEL", "LOUD"),
        ("RELABEL_JOB__KEEP_DAYS", "nan"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_variable(monkeypatch, name, value):
    """One sentence that begins with the name of the environment variable."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"^{name}: .*\\.$"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("RELABEL_RATE__PERMINUTE", "did you mean RELABEL_RATE__PER_MINUTE"),
        ("RELABEL_REDIS_URL", "did you mean RELABEL_REDIS__URL"),
        ("RELABEL_BROKER__URL", "did you mean RELABEL_BROKER_URL"),
        ("RELABEL_XYZZY", "`relabel config` lists"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_one_that_may_be_meant(monkeypatch, name, hint):
    """A slip of the pen in the rate must not mean the default rate; the value is not shown."""
    monkeypatch.setenv(name, SECRET)

    with pytest.raises(SettingsError, match=f"^{name} is not a setting of relabel; {hint}") as refused:
        load_settings()

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("name", ["RELABEL_RATE__PERMINUTE", "RELABEL_LOGLEVEL", "relabel_log_levle"])
def test_an_unknown_name_in_the_dotenv_file_is_refused_too(tmp_path, name):
    """The same slip in the file means the same."""
    (tmp_path / ".env").write_text(f"{name}=60\n")

    with pytest.raises(SettingsError, match=f"{name.upper()} is not a setting of relabel; did you mean"):
        load_settings()


def test_a_dotenv_file_that_is_no_text_is_told(tmp_path):
    """A file saved as UTF-16 is named, and nothing of it is shown."""
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={SECRET}\n", encoding="utf-16")

    with pytest.raises(SettingsError, match=r"^\.env cannot be read") as refused:
        load_settings()

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("kind", ["pipe", "large"])
def test_an_env_file_that_would_never_end_is_refused(tmp_path, kind):
    """A pipe that nobody writes to held every command up in that folder."""
    if kind == "pipe":
        os.mkfifo(tmp_path / ".env")
    else:
        (tmp_path / ".env").write_bytes(b"#" * (1 << 20) + b"#")

    with pytest.raises(SettingsError, match=r"^\.env is a pipe or larger"):
        load_settings()


def test_secrets_that_are_too_large_are_refused_with_a_sentence(tmp_path, monkeypatch):
    """They are read at each start."""
    with (tmp_path / "openai_api_key").open("wb") as file:
        file.truncate(20 << 20)
    monkeypatch.setenv("RELABEL_SECRETS_DIR", str(tmp_path))

    with pytest.raises(SettingsError, match=r"^RELABEL_SECRETS_DIR cannot be read"):
        load_settings()


def test_no_error_or_representation_shows_a_secret(monkeypatch):
    """Neither repr nor a refusal beside it."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("RELABEL_REDIS__URL", f"redis://:{SECRET}@host/0")
    settings = load_settings()
    assert SECRET not in repr(settings) + str(settings) + repr(settings.model_dump())

    monkeypatch.setenv("RELABEL_REDIS__URL", "")
    monkeypatch.setenv("RELABEL_WORKER__CHILDREN", SECRET)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_settings_cannot_be_changed_once_read():
    """What a door has read is the same for all."""
    with pytest.raises(ValidationError):
        load_settings().log_level = "DEBUG"


def test_a_child_reads_the_very_settings_of_its_parent(monkeypatch, tmp_path):
    """Every setting, whether from the environment, from `.env` or from the program, and secrets in clear."""
    (tmp_path / ".env").write_text("RELABEL_RATE__BURST=7\nRELABEL_WORKER__CHILDREN=3\n")
    monkeypatch.setenv("RELABEL_API__AUTH", "api-key")
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-person")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    update = {"openai_api_key": Settings(OPENAI_API_KEY=SECRET).openai_api_key, "openai_base_url": "http://[::1]:1/v1"}
    settings = load_settings().model_copy(update=update)

    environment = child_environment(settings)
    code = (
        "import json, os; from config.environment import load_settings; s = load_settings(); "
        "print(json.dumps([s.openai_api_key.get_secret_value(), s.model_dump(mode='json')]))"
    )
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)

    assert json.loads(run.stdout) == [SECRET, settings.model_dump(mode="json")]
    assert environment["HTTPS_PROXY"] == "http://proxy:3128"


def test_a_setting_that_is_unset_stays_unset_in_a_child(monkeypatch):
    """A rehearsal takes the key away: the child must not find the person's own in its environment."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("openai_org_id", "org-1")
    settings = load_settings().model_copy(update={"openai_api_key": None, "openai_org_id": None})

    environment = child_environment(settings)

    assert not {name for name in environment if name.upper() in {"OPENAI_API_KEY", "OPENAI_ORG_ID"}}


def test_every_setting_says_what_it_is():
    """`relabel config` has a sentence for each."""
    for name, (model, field) in environment_names().items():
        assert (model.model_fields[field].description or "").endswith("."), name


@pytest.mark.parametrize(
    ("ledger", "broker", "expected"),
    [
        ("redis://host:1/2", None, "redis://host:1/2"),
        ("redis://host:1/2", "redis://other:1/3", "redis://other:1/3"),
        ("redis://host:1/2", "amqps://user@other//", "amqps://user@other//"),
    ],
)
def test_the_broker_is_the_ledgers_server_unless_another_is_named(ledger, broker, expected):
    """Redis, or RabbitMQ beside it."""
    assert Settings(redis={"url": ledger}, broker_url=broker).full_broker_url == expected


def test_secrets_are_read_from_a_folder(monkeypatch, tmp_path):
    """A file for each, named as the variable in small letters; the environment wins, a misspelt name is refused."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "openai_api_key").write_text(SECRET + "\n")
    (secrets / "relabel_redis__password").write_text("p/w\n")
    (secrets / "tls.crt").write_text("of another program")
    (tmp_path / ".env").write_text(f"RELABEL_SECRETS_DIR={secrets}")
    monkeypatch.setenv("RELABEL_REDIS__URL", "redis://me@host/0")

    settings = load_settings()

    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == SECRET
    assert settings.ledger_url == "redis://me:p%2Fw@host/0"
    environment = child_environment(settings)  # the child reads the file itself, now and when the key was refused
    assert (environment["RELABEL_SECRETS_DIR"], environment.get("OPENAI_API_KEY")) == (str(secrets), None)

    monkeypatch.setenv("RELABEL_REDIS__PASSWORD", "other")
    assert load_settings().ledger_url == "redis://me:other@host/0"
    (secrets / "relabel_broker_ulr").touch()
    with pytest.raises(SettingsError, match="did you mean RELABEL_BROKER_URL"):
        load_settings()
    monkeypatch.setenv("RELABEL_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="RELABEL_SECRETS_DIR"):
        load_settings()


def test_a_ledger_that_is_not_named_is_told():
    """The sentence says what to set."""
    with pytest.raises(SettingsError, match="RELABEL_REDIS__URL is not set"):
        _ = load_settings().ledger_url


@pytest.mark.parametrize("home", ["", "relative/path"])
def test_the_state_folder_is_below_home_where_xdg_names_none(monkeypatch, tmp_path, home):
    """A relative XDG_STATE_HOME is to be ignored (XDG Base Directory Specification 0.8)."""
    monkeypatch.setenv("XDG_STATE_HOME", home)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert load_settings().state_folder == tmp_path / ".local" / "state" / "relabel"


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@host",
        f"localhost:6379/{SECRET}",
        f"redis://:{SECRET}@host:port/0",
        "redis://[broken",
        "unix://",
    ],
)
def test_a_redis_url_that_is_none_is_refused_by_its_name_and_not_shown(monkeypatch, url):
    """In a sentence, before anything is tried."""
    monkeypatch.setenv("RELABEL_REDIS__URL", url)

    with pytest.raises(
        SettingsError, match=r"RELABEL_REDIS__URL: must be a redis://, rediss:// \(TLS\), unix://"
    ) as caught:
        load_settings()

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("dotenv", "environment", "warned"),
    [
        ("OPENAI_BASE_URL", "OPENAI_API_KEY", True),
        ("OPENAI_BASE_URL OPENAI_API_KEY", "OPENAI_API_KEY", True),
        ("OPENAI_BASE_URL OPENAI_API_KEY", "", False),
        ("OPENAI_BASE_URL", "OPENAI_API_KEY OPENAI_BASE_URL", False),
        ("OPENAI_API_KEY", "OPENAI_BASE_URL", False),
        ("", "OPENAI_API_KEY", False),
    ],
)
def test_a_dotenv_file_that_says_where_somebody_elses_key_goes_is_told(
    monkeypatch, tmp_path, dotenv, environment, warned
):
    """The file of a folder that came with the data must not take the key of the environment away in silence."""
    values = {"OPENAI_BASE_URL": "https://elsewhere.example/v1", "OPENAI_API_KEY": "k3y-of-somebody"}
    (tmp_path / ".env").write_text("".join(f"{name}={values[name]}\n" for name in dotenv.split()))
    monkeypatch.chdir(tmp_path)
    for name in environment.split():
        monkeypatch.setenv(name, values[name])

    warning = warn_of_base_url(load_settings())

    assert bool(warning) is warned
    assert not warned or (str(tmp_path / ".env") in warning and "https://elsewhere.example/v1" in warning)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            ("OPENAI_BASE_URL", f"https://{host}/v1")
            for host in ("a\x01b", "a\nb", "a\x7f", "a..b", "x" * 64, "bü.example")
        ],
        ("OPENAI_BASE_URL", "https://a/v1\x1b]0;x\x07"),
        ("OPENAI_ORG_ID", "a\nX-Other: b"),
        ("OPENAI_PROJECT_ID", "é"),
        ("RELABEL_API__VERSION", "a\x01"),
        ("RELABEL_NOTIFY__URL", "https://a\x01/x"),
        ("RELABEL_NOTIFY__URL", "https://[::1/x"),
        *[
            (name, url)
            for name in ("RELABEL_REDIS__URL", "RELABEL_BROKER_URL")
            for url in (
                "redis://h/x",
                "redis://h:0/0",
                "redis://h:99999/0",
                "redis:///0",
                "redis://h\x01/0",
                "redis://[zz]/0",
                "redis://a,b/0",
                "redis://h/0?db=x",
                "redis://h/0?db=-1",
                "redis://h/0?max_connections=0",
                "redis://h/0?socket_timeout=soon",
                "redis://h/0?connection_class=x",
                "redis://h/0?ssl_cert_reqs=none",
                "redis://h/0#x",
                "rediss://h/0?ssl_cert_reqs=never",
                "unix:///s.sock?db=x",
                "sentinel://h/service/0?foo=bar",
                "sentinel://h:99999/service/0",
                "redis://h/0?username=a&password=b",
            )
        ],
        *[
            ("RELABEL_BROKER_URL", url)
            for url in ("kafka://h", "x", "py://h", "amqp://h:99999", "amqp://h?heartbeat=x")
        ],
    ],
)
def test_an_odd_url_or_header_is_refused_by_a_sentence(monkeypatch, name, value):
    """Before anything is tried, as the libraries below would end with a traceback; and nothing of it is shown raw."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"^{name}: ") as caught:
        load_settings()

    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:p%40ss@h:6379/3?socket_timeout=1.5&health_check_interval=5&client_name=me",
        "rediss://h/0?ssl_ca_certs=/ca.pem&ssl_check_hostname=false",
        "unix:///run/redis.sock?db=2",
        "redis://[::1]:6379",
        "sentinels://u:p@a:1,b:2/service/0?ssl_ca_certs=/ca.pem&sentinel_password=x",
    ],
)
def test_a_redis_url_with_known_options_is_taken(monkeypatch, url):
    """By redis-py's names."""
    monkeypatch.setenv("RELABEL_REDIS__URL", url)
    monkeypatch.setenv("RELABEL_BROKER_URL", url)

    assert load_settings().ledger_url == url


@pytest.mark.parametrize("name", ["relabel_redis", "relabel_rate", "relabel_nightly"])
@pytest.mark.parametrize("content", ["x", "{", '{"url": 3}', "[]"])
def test_a_secret_named_as_a_group_of_settings_is_refused_by_a_sentence(monkeypatch, tmp_path, name, content):
    """Each setting has a file of its own; the same for a variable of that name."""
    (tmp_path / name).write_text(content)
    monkeypatch.setenv("RELABEL_SECRETS_DIR", str(tmp_path))

    with pytest.raises(SettingsError, match=r"is not a setting of relabel"):
        load_settings()

    monkeypatch.delenv("RELABEL_SECRETS_DIR")
    monkeypatch.setenv(name.upper(), content)
    with pytest.raises(SettingsError, match=r"is not a setting of relabel"):
        load_settings()


def test_whoever_reads_the_settings_leaves_no_core_dump():
    """The key is in its memory, and in that of the children that inherit the limit."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)

    load_settings()

    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


def test_archived_reports_need_an_end(monkeypatch):
    """They hold metadata values: a folder alone would keep them for ever."""
    monkeypatch.setenv("RELABEL_ARCHIVE__DIR", "/srv/reports")
    with pytest.raises(SettingsError, match=r"^RELABEL_ARCHIVE: DIR needs KEEP_DAYS"):
        load_settings()

    monkeypatch.setenv("RELABEL_ARCHIVE__KEEP_DAYS", "365")
    assert load_settings().archive.keep_days == 365
