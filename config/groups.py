"""The groups of settings, each a `RELABEL_{GROUP}__` of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, SecretStr, model_validator

from config.checks import command_line, header_value, signing_secret, user_and_password, webhook_url
from config.failure_limit import failure_limit
from config.input_options import InputOptions, input_options_text, parse_input_options
from config.schedule import Schedule, cron_line, local_date, zone_name
from config.server_url import plain, server_url, speaks_tls, with_options, with_password


class Group(BaseModel):
    """Some settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RedisSettings(Group):
    """The ledger's server."""

    url: Annotated[SecretStr | None, AfterValidator(server_url)] = Field(
        None,
        description="Ledger: a redis://, rediss:// (TLS), unix://, sentinel:// or sentinels:// (TLS) URL. "
        "Unset: `relabel run` brings its own server.",
    )
    password: SecretStr | None = Field(None, description="Password of the server, where the URL holds none.")
    sentinel_password: SecretStr | None = Field(None, description="Password of the sentinels themselves.")
    ca_file: FilePath | None = Field(
        None, description="CA of Redis and of a TLS broker, a PEM file. Unset: the CAs this machine trusts."
    )
    cert_file: FilePath | None = Field(None, description="Client certificate for TLS, a PEM file.")
    key_file: FilePath | None = Field(None, description="Key of the client certificate, a PEM file.")

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("CERT_FILE and KEY_FILE belong together; set both or neither")
        return self

    @property
    def full_url(self) -> str | None:
        """The URL with password and TLS files in it, by redis-py's names for them."""
        if self.url is None:
            return None
        url = with_password(self.url.get_secret_value(), plain(self.password))
        if url.startswith("sentinel"):
            url = with_options(url, {"sentinel_password": plain(self.sentinel_password) or None})
        return self.with_tls_files(url)

    def with_tls_files(self, url: str) -> str:
        """Add the TLS files to a URL that asks for TLS."""
        if not speaks_tls(url):
            return url
        files = {"ssl_ca_certs": self.ca_file, "ssl_certfile": self.cert_file, "ssl_keyfile": self.key_file}
        return with_options(url, files)


class ApiSettings(Group):
    """How the API is called."""

    auth: Literal["bearer", "api-key"] = Field(
        "bearer", description="Header that carries the key: `bearer` (OpenAI) or `api-key` (Azure)."
    )
    key_command: Annotated[SecretStr | None, AfterValidator(lambda value: value and command_line(value))] = Field(
        None,
        description="Command that prints the key, run again when the key is refused. Not in `.env`; needs "
        "`RELABEL_RATE__NAME` or `OPENAI_PROJECT_ID`.",
    )
    version: Annotated[str | None, AfterValidator(header_value)] = Field(
        None, description="`api-version` query parameter (Azure legacy paths)."
    )
    timeout_s: float = Field(60.0, gt=0, le=600, description="Deadline of one whole request, seconds.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Deadline of a connection, seconds.")
    attempts: int = Field(5, ge=1, le=20, description="Attempts of a row before it ends as failed.")


class RateSettings(Group):
    """Requests that everything on the same endpoint and project may send together. A merge row takes two."""

    name: str | None = Field(
        None,
        max_length=200,
        description="Name of a rate shared by all workers with this name and endpoint, whatever their keys. "
        "Unset: that of `OPENAI_PROJECT_ID`, else of the key.",
    )
    per_minute: float = Field(600.0, gt=0, le=10_000_000, description="Requests per minute, over all workers.")
    burst: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Requests that may be sent at once. Unset: a tenth of a second's worth.",
    )


class WorkerSettings(Group):
    """The size of a worker."""

    children: int | None = Field(None, ge=1, le=256, description="Processes of a worker. Unset: one per core.")
    in_flight: int = Field(64, ge=1, le=4096, description="Rows that one process has in flight at once.")
    read_ahead: bool = Field(True, description="Read rows by pages of the list where that takes fewer requests.")


class FlowerSettings(Group):
    """How `celery -A tasks.app flower` shows the workers."""

    address: str = Field("127.0.0.1", description="Address of Flower; any but loopback needs basic auth.")
    port: int = Field(5555, ge=1, le=65_535, description="Port of Flower.")
    basic_auth: Annotated[SecretStr | None, AfterValidator(user_and_password)] = Field(
        None, description="`user:password` for Flower; /metrics and /healthcheck stay open."
    )
    read_only: bool = Field(True, description="Read-only Flower; else it can stop workers, with basic auth.")
    allowed_hosts: str | None = Field(None, description="More host names that it answers to, separated by commas.")


class JobSettings(Group):
    """How jobs are cut and kept."""

    shard_rows: int = Field(500, ge=1, le=10_000, description="Rows in one shard.")
    shard_seconds: float = Field(
        10.0, gt=0, le=120, description="Time a worker spends on a shard before it hands back the rest."
    )
    keep_days: float = Field(30.0, gt=0, le=3650, description="Days that a job stays readable after its end.")
    index: bool = Field(True, description="Keep what `relabel history` finds a job's rows by: 12 bytes of Redis a row.")


class InputSettings(Group):
    """How large an input may be; what is larger is refused before anything is stored."""

    max_rows: int = Field(20_000_000, ge=1, description="Maximum rows of an input.")
    max_gib: float = Field(64.0, gt=0, le=1_000_000, description="Maximum size of an input in GiB, decompressed.")


class MetricsSettings(Group):
    """Where `relabel metrics` listens, and `relabel serve` for scrapes."""

    address: str = Field("127.0.0.1", min_length=1, description="Address that `relabel metrics` listens on.")
    port: int = Field(9464, ge=1, le=65535, description="Port that `relabel metrics` listens on.")
    allowed_hosts: str | None = Field(None, description="More host names that it answers to, separated by commas.")
    web_port: int | None = Field(
        None, ge=1, le=65535, description="Port at the same address for the metrics of `relabel serve`. Unset: none."
    )
    ledger_disk: Annotated[Path | None, AfterValidator(lambda value: value and value.expanduser())] = Field(
        None, description="A folder on the disk that Redis writes to, where this machine has it: its room is shown."
    )


class NightlySettings(Group):
    """When files are taken from the inbox, and how each is submitted."""

    cron: Annotated[str | None, AfterValidator(lambda value: value and cron_line(value))] = Field(
        None, description="Cron line of the nightly run, such as `30 2 * * *`. Unset: no nightly run."
    )
    time_zone: Annotated[str, AfterValidator(zone_name)] = Field(
        "UTC", description="IANA time zone of the cron line and of the run's date."
    )
    inbox: Annotated[Path | None, AfterValidator(lambda value: value and value.expanduser())] = Field(
        None, description="Folder whose files are taken; set on workers that have it, and on no others."
    )
    overlap: Literal["skip", "queue"] = Field(
        "skip", description="While the previous run has not ended: `skip` the night, or `queue` it."
    )
    quiet_s: float = Field(
        60.0, ge=0, le=86_400, description="Seconds that a file must be unchanged before it is taken."
    )
    mode: Literal["merge", "replace"] = Field("merge", description="As `--mode` of submit.")
    rate_per_minute: float | None = Field(
        None, gt=0, le=10_000_000, description="Requests per minute of each job of the run. Unset: the shared rate."
    )
    max_failures: Annotated[str | None, AfterValidator(lambda value: value and failure_limit(value))] = Field(
        None, description="As `--max-failures` of submit: a share like `5%`, a number of rows, or `none`."
    )

    input: Annotated[str | None, AfterValidator(lambda value: value and input_options_text(value))] = Field(
        None,
        description="How each file of the inbox is read, by options of submit: `--delimiter ';' --id-column Id`, and "
        "`--input-format`, `--columns`, `--null`, `--stringify`.",
    )

    @property
    def input_options(self) -> InputOptions:
        """How each file of the inbox is read."""
        return parse_input_options(self.input or "")

    @property
    def schedule(self) -> Schedule | None:
        """When the run is due; None where it never is by itself."""
        return Schedule(self.cron, self.time_zone) if self.cron else None

    def date_of(self, at: float) -> str:
        """Return the local date of a moment, seconds since the epoch."""
        return local_date(at, self.time_zone)


class ApprovalSettings(Group):
    """Which jobs somebody else than their submitter has to approve, and who may."""

    above_rows: int | None = Field(
        None, ge=0, description="Jobs that change more rows are held until somebody else approves them. Unset: none."
    )
    allow_local: bool = Field(
        False, description="Let command lines and Python programs with access to Redis approve, by unverified names."
    )


class ArchiveSettings(Group):
    """Where workers archive the reports of ended jobs."""

    dir: Annotated[Path | None, AfterValidator(lambda value: value and value.expanduser())] = Field(
        None,
        description="Folder for the report of each ended job (`JOB.jsonl.gz`), the same for all workers. Unset: none.",
    )
    keep_days: float | None = Field(
        None, gt=0, le=36_500, description="Days that an archived report is kept; needed with `RELABEL_ARCHIVE__DIR`."
    )

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.dir is not None and self.keep_days is None:
            raise ValueError("DIR needs KEEP_DAYS, as archived reports hold metadata values; set it")
        return self


class NotifySettings(Group):
    """Who is told of a job's end."""

    url: Annotated[SecretStr | None, AfterValidator(lambda value: value and webhook_url(value))] = Field(
        None, description="Webhook that receives a POST when a job ends or pauses by itself."
    )
    secret: Annotated[SecretStr | None, AfterValidator(lambda value: value and signing_secret(value))] = Field(
        None,
        description="`whsec_` and Base64: signs notifications by the Standard Webhooks scheme. Unset: not signed.",
    )
    allow_private: bool = Field(
        False, description="Allow a webhook at a private, loopback or link-local address, over http, or by proxy."
    )

    @model_validator(mode="after")
    def _keep_off_clear_text(self) -> Self:
        """Refuse a webhook over http, as names and reasons would travel in clear."""
        if self.url and not self.allow_private and not self.url.get_secret_value().startswith("https://"):
            raise ValueError(
                "its URL must use https; http is for your own network, with RELABEL_NOTIFY__ALLOW_PRIVATE=1"
            )
        return self
