"""The groups of settings, each a `RELABEL_{GROUP}__` of the environment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from config.checks import user_and_password


class Group(BaseModel):
    """Some settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RedisSettings(Group):
    """The ledger's server."""

    url: SecretStr | None = Field(
        None,
        description="Ledger: a redis://, rediss:// or unix:// URL. Unset: `relabel run` brings its own server.",
    )


class ApiSettings(Group):
    """How the API is called."""

    auth: Literal["bearer", "api-key"] = Field(
        "bearer", description="Header that carries the key: `bearer` (OpenAI) or `api-key` (Azure)."
    )
    version: str | None = Field(None, description="`api-version` query parameter (Azure legacy paths).")
    timeout_s: float = Field(60.0, gt=0, le=600, description="Deadline of one request in all, seconds.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Deadline of a connection, seconds.")
    attempts: int = Field(5, ge=1, le=20, description="Tries of a row before it ends as failed.")


class RateSettings(Group):
    """Requests that everything on the same endpoint and key may send together. A merge row takes two."""

    per_minute: float = Field(600.0, gt=0, le=10_000_000, description="Requests a minute, over all workers.")
    burst: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Requests that may go at once. Unset: a tenth of a second's worth.",
    )


class WorkerSettings(Group):
    """The size of a worker."""

    children: int | None = Field(None, ge=1, le=256, description="Processes of a worker. Unset: one a core.")
    in_flight: int = Field(64, ge=1, le=4096, description="Rows that one process works on at once.")


class FlowerSettings(Group):
    """How `celery -A tasks.app flower` shows the workers."""

    address: str = Field("127.0.0.1", description="Address of Flower; any but loopback needs basic auth.")
    port: int = Field(5555, ge=1, le=65_535, description="Port of Flower.")
    basic_auth: Annotated[SecretStr | None, AfterValidator(user_and_password)] = Field(
        None, description="`user:password` that Flower asks for; its /metrics and /healthcheck stay open."
    )
    read_only: bool = Field(True, description="Whether Flower only looks; else it can stop workers, with basic auth.")


class JobSettings(Group):
    """How jobs are cut and kept."""

    shard_rows: int = Field(500, ge=1, le=10_000, description="Rows in one shard.")
    shard_seconds: float = Field(
        10.0, gt=0, le=120, description="Time a worker spends on a shard before it hands back the rest."
    )
    keep_days: float = Field(30.0, gt=0, le=3650, description="Days that a job stays readable after its end.")


class MetricsSettings(Group):
    """Where `relabel metrics` listens."""

    address: str = Field("127.0.0.1", min_length=1, description="Address that `relabel metrics` listens on.")
    port: int = Field(9464, ge=1, le=65535, description="Port that `relabel metrics` listens on.")
