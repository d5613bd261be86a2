"""What can be set, read once at a door (`cli/main.py`, `tasks/app.py`) and passed down frozen."""

from __future__ import annotations

import difflib
import ipaddress
import os
import urllib.request
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

PREFIX = "RELABEL_"


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and says what it takes."""


def names_a_proxy() -> bool:
    """Tell whether the environment names a proxy, as HTTP_PROXY and HTTPS_PROXY do."""
    return bool(urllib.request.getproxies_environment())


def is_loopback(host: str) -> bool:
    """Tell whether the host is this machine: `localhost`, 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"https", "http"} or not parts.hostname or not _has_sound_port(parts):
        raise ValueError("must be a URL such as https://api.openai.com/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no user, password, query or fragment; the key goes into OPENAI_API_KEY")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must use https, as the key would travel in clear (http is for loopback only)")
    return value.rstrip("/")


def _key(value: SecretStr | None) -> SecretStr | None:
    if value is None:
        return None
    key = value.get_secret_value().strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("must be one word of plain characters, as it travels in a header")
    return SecretStr(key)


def _has_sound_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RedisSettings(_Group):
    """The ledger's server."""

    url: SecretStr | None = Field(
        None,
        description="Ledger: a redis://, rediss:// or unix:// URL. Unset: `relabel run` brings its own server.",
    )


class ApiSettings(_Group):
    """How the API is called."""

    auth: Literal["bearer", "api-key"] = Field(
        "bearer", description="Header that carries the key: `bearer` (OpenAI) or `api-key` (Azure)."
    )
    version: str | None = Field(None, description="`api-version` query parameter (Azure legacy paths).")
    timeout_s: float = Field(60.0, gt=0, le=600, description="Deadline of one request in all, seconds.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Deadline of a connection, seconds.")
    attempts: int = Field(5, ge=1, le=20, description="Tries of a row before it ends as failed.")


class RateSettings(_Group):
    """Requests that everything on the same endpoint and key may send together. A merge row takes two."""

    per_minute: float = Field(600.0, gt=0, le=10_000_000, description="Requests a minute, over all workers.")
    burst: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Requests that may go at once. Unset: a tenth of a second's worth.",
    )


class WorkerSettings(_Group):
    """The size of a worker."""

    children: int | None = Field(None, ge=1, le=256, description="Processes of a worker. Unset: one a core.")
    in_flight: int = Field(64, ge=1, le=4096, description="Rows that one process works on at once.")


class JobSettings(_Group):
    """How jobs are cut and kept."""

    shard_rows: int = Field(500, ge=1, le=10_000, description="Rows in one shard.")
    shard_seconds: float = Field(
        10.0, gt=0, le=120, description="Time a worker spends on a shard before it hands back the rest."
    )
    keep_days: float = Field(30.0, gt=0, le=3650, description="Days that a job stays readable after its end.")


class Settings(BaseSettings):
    """Everything that can be set, from the environment and from `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    openai_api_key: Annotated[SecretStr | None, AfterValidator(_key)] = Field(
        None, validation_alias="OPENAI_API_KEY", description="Key of the project whose completions change."
    )
    openai_base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        "https://api.openai.com/v1",
        validation_alias="OPENAI_BASE_URL",
        description="API to call; https, or http on loopback.",
    )
    openai_org_id: str | None = Field(
        None, validation_alias="OPENAI_ORG_ID", description="Sent as `OpenAI-Organization` when set."
    )
    openai_project_id: str | None = Field(
        None, validation_alias="OPENAI_PROJECT_ID", description="Sent as `OpenAI-Project` when set."
    )
    broker_url: SecretStr | None = Field(None, description="Celery's broker. Unset: the ledger's server.")
    state_dir: Path | None = Field(
        None,
        description="Folder of the embedded server. Unset: $XDG_STATE_HOME/relabel or ~/.local/state/relabel.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level logged.")
    redis: RedisSettings = RedisSettings()
    api: ApiSettings = ApiSettings()
    rate: RateSettings = RateSettings()
    worker: WorkerSettings = WorkerSettings()
    job: JobSettings = JobSettings()

    @property
    def ledger_url(self) -> str:
        """The ledger's URL, with its password.

        Raises:
            SettingsError: none is set.

        """
        if self.redis.url is None:
            raise SettingsError(f"{PREFIX}REDIS__URL is not set; name the Redis server, or use `relabel run`.")
        return self.redis.url.get_secret_value()

    @property
    def celery_broker_url(self) -> str:
        """The broker's URL as Celery reads it: the ledger's server unless another is set."""
        url = self.broker_url.get_secret_value() if self.broker_url else self.ledger_url
        if not url.startswith("unix://"):
            return url
        return "redis+socket://" + url.removeprefix("unix://").replace("?db=", "?virtual_host=")

    @property
    def state_folder(self) -> Path:
        """The folder for the embedded server, its log and a run's files (XDG Base Directory Specification 0.8)."""
        if self.state_dir is not None:
            return self.state_dir.expanduser()
        home = os.environ.get("XDG_STATE_HOME", "")
        base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
        return base / "relabel"


def environment_names(
    model: type[BaseModel] = Settings, prefix: str = PREFIX
) -> dict[str, tuple[type[BaseModel], str]]:
    """Name every environment variable that is read, with the model and the field it sets."""
    names: dict[str, tuple[type[BaseModel], str]] = {}
    for field, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= environment_names(kind, f"{prefix}{field.upper()}__")
        else:
            alias = info.validation_alias
            names[alias if isinstance(alias, str) else f"{prefix}{field.upper()}"] = (model, field)
    return names


def load_settings() -> Settings:
    """Read the environment and `.env`.

    Raises:
        SettingsError: a value is wrong, or a `RELABEL_` variable is not one of ours.

    """
    try:
        _refuse_unknown_names()
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f".env cannot be read ({error.__class__.__name__}); it must be a text file in UTF-8."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{_name_of(first['loc'])}: {_sentence(first['msg'])}.") from None


def child_environment(settings: Settings) -> dict[str, str]:
    """Give the environment in which a process of ours reads these very settings."""
    kept = {name: value for name, value in os.environ.items() if name.upper() not in environment_names()}
    return kept | {name: _plain(value) for name, value in _flat(settings).items() if value is not None}


def _flat(settings: Settings) -> dict[str, Any]:
    flat = {}
    for name, (model, field) in environment_names().items():
        group = name.removeprefix(PREFIX).partition("__")[0].lower()
        flat[name] = getattr(settings if model is Settings else getattr(settings, group), field)
    return flat


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _refuse_unknown_names() -> None:
    known = environment_names()
    for name in map(str.upper, (*os.environ, *DotEnvSettingsSource(Settings).env_vars)):
        if not name.startswith(PREFIX) or name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "`relabel config` lists what can be set."
        raise SettingsError(f"{name} is not a setting of relabel; {hint}")


def _name_of(location: tuple[int | str, ...]) -> str:
    name = "__".join(str(part) for part in location).upper()
    return name if name.startswith("OPENAI_") else PREFIX + name


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").removesuffix(".")
