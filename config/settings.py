"""All settings, read once at the entry points (`cli/main.py`, `tasks/app.py`) and passed down frozen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, DirectoryPath, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from config.checks import api_key, base_url, header_value, person_name
from config.errors import SettingsError
from config.groups import (
    ApiSettings,
    ApprovalSettings,
    ArchiveSettings,
    FlowerSettings,
    InputSettings,
    JobSettings,
    MetricsSettings,
    NightlySettings,
    NotifySettings,
    RateSettings,
    RedisSettings,
    WorkerSettings,
)
from config.logs import LogFormat
from config.server_url import broker_url as sound_broker_url
from config.web import WebSettings

PREFIX = "RELABEL_"


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

    openai_api_key: Annotated[SecretStr | None, AfterValidator(api_key)] = Field(
        None, validation_alias="OPENAI_API_KEY", description="Key of the project whose completions change."
    )
    openai_base_url: Annotated[str, AfterValidator(base_url)] = Field(
        "https://api.openai.com/v1",
        validation_alias="OPENAI_BASE_URL",
        description="API to call; https, or http on loopback.",
    )
    openai_org_id: Annotated[str | None, AfterValidator(header_value)] = Field(
        None, validation_alias="OPENAI_ORG_ID", description="Sent as `OpenAI-Organization` when set."
    )
    openai_project_id: Annotated[str | None, AfterValidator(header_value)] = Field(
        None, validation_alias="OPENAI_PROJECT_ID", description="Sent as `OpenAI-Project` when set."
    )
    broker_url: Annotated[SecretStr | None, AfterValidator(sound_broker_url)] = Field(
        None, description="Celery's broker. Unset: the ledger's server."
    )
    state_dir: Path | None = Field(
        None,
        description="Folder of the embedded server. Unset: $XDG_STATE_HOME/relabel or ~/.local/state/relabel.",
    )
    secrets_dir: DirectoryPath | None = Field(
        None,
        description="Folder of files named like these variables in lower case, each with a value, such as container "
        "secrets and systemd credentials. The environment takes precedence.",
    )
    user: Annotated[str | None, AfterValidator(lambda value: value and person_name(value))] = Field(
        None,
        description="Your name in jobs and their logs, where they are marked as unverified: best that of your tokens. "
        "Unset: user@host.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level logged.")
    log_format: LogFormat = Field("text", description="Form of the log: `text` for people, `json` for programs.")
    redis: RedisSettings = RedisSettings()
    api: ApiSettings = ApiSettings()
    rate: RateSettings = RateSettings()
    worker: WorkerSettings = WorkerSettings()
    input: InputSettings = InputSettings()
    job: JobSettings = JobSettings()
    metrics: MetricsSettings = MetricsSettings()
    flower: FlowerSettings = FlowerSettings()
    nightly: NightlySettings = NightlySettings()
    notify: NotifySettings = NotifySettings()
    archive: ArchiveSettings = ArchiveSettings()
    approval: ApprovalSettings = ApprovalSettings()
    web: WebSettings = WebSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the folder of secrets last, where one is named."""
        named = (init_settings, env_settings, dotenv_settings)
        return (*named, NestedSecretsSettingsSource(file_secret_settings, secrets_dir=_secrets_dir(*named[1:])))

    @property
    def ledger_url(self) -> str:
        """The ledger's URL, with its password.

        Raises:
            SettingsError: none is set.

        """
        url = self.redis.full_url
        if url is None:
            raise SettingsError(f"{PREFIX}REDIS__URL is not set; name the Redis server, or use `relabel run`.")
        return url

    @property
    def full_broker_url(self) -> str:
        """The broker's URL, with its password: the ledger's server unless another is set."""
        return self.redis.with_tls_files(self.broker_url.get_secret_value()) if self.broker_url else self.ledger_url

    @property
    def state_folder(self) -> Path:
        """The folder for the embedded server, its log and a run's files (XDG Base Directory Specification 0.8)."""
        if self.state_dir is not None:
            return self.state_dir.expanduser()
        home = os.environ.get("XDG_STATE_HOME", "")
        base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
        return base / "relabel"


def _secrets_dir(*sources: PydanticBaseSettingsSource) -> str | None:
    """Where the environment or `.env` say the secrets are; None where that is no folder, which its check will tell."""
    for source in sources:
        folder = source.env_vars.get(f"{PREFIX}SECRETS_DIR".lower()) if isinstance(source, EnvSettingsSource) else None
        if folder:
            return folder if Path(folder).is_dir() else None
    return None
