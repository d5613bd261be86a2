"""Reads the settings from the environment and `.env`, and hands them to a child process."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource
from pydantic_settings import SettingsError as SourceError

from config.api_key import COMMAND, key_file
from config.checks import said_plainly
from config.errors import SettingsError
from config.server_url import plain
from config.settings import PREFIX, Settings
from config.text import register_secret

ENV_FILE_BYTES = 1 << 20
"""Bytes that `.env` may have."""


def opens_flower_api() -> bool:
    """Return whether the environment opens Flower's API to everybody, by Flower's own variable."""
    return os.environ.get("FLOWER_UNAUTHENTICATED_API", "").lower() not in {"", "0", "f", "false", "n", "no", "off"}


def environment_names(
    model: type[BaseModel] = Settings, prefix: str = PREFIX
) -> dict[str, tuple[type[BaseModel], str]]:
    """Return every environment variable that is read, with the model and the field it sets."""
    names: dict[str, tuple[type[BaseModel], str]] = {}
    for field, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= environment_names(kind, f"{prefix}{field.upper()}__")
        else:
            alias = info.validation_alias
            names[alias if isinstance(alias, str) else f"{prefix}{field.upper()}"] = (model, field)
    return names


def load_settings(given: Mapping[str, Any] = MappingProxyType({})) -> Settings:
    """Read the environment and `.env`; what a program gives itself goes before both.

    Raises:
        SettingsError: a value is wrong, or a `RELABEL_` variable is not one of ours.

    """
    register_secret(os.environ.get("OPENAI_API_KEY", "").strip())  # before anything can be wrong
    # whoever reads the key leaves none of it in a core dump; children inherit this
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        _refuse_odd_env_file()
        _refuse_unknown_names()
        _refuse_unknown_files(_named_secrets_dir())
        settings = Settings(**given)
        _check_key_command(settings)
        register_secret(plain(settings.openai_api_key))
    except (OSError, UnicodeDecodeError) as error:
        where = getattr(error, "filename", None) or ".env"
        raise SettingsError(
            f"{where} cannot be read ({error.__class__.__name__}); "
            "it, and each file in RELABEL_SECRETS_DIR, must be a text in UTF-8."
        ) from None
    except SourceError as error:
        raise SettingsError(f"RELABEL_SECRETS_DIR cannot be read ({error}); keep nothing but secrets there.") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{_name_of(first['loc'])}: {said_plainly(first['msg']).removesuffix('.')}.") from None
    return settings


def warn_of_base_url(settings: Settings) -> str:
    """Return a warning where `.env` alone says where the key goes, and the key is from elsewhere; else ''.

    Whoever wrote the file of the current folder, which may have come with somebody's data, would be sent the key.
    """
    here = {name.upper() for name, value in os.environ.items() if value}
    there = {name.upper() for name, value in DotEnvSettingsSource(Settings).env_vars.items() if value}
    if "OPENAI_BASE_URL" not in there - here or "OPENAI_API_KEY" in there - here:
        return ""
    return (
        f"{Path('.env').absolute()} sends the key to {settings.openai_base_url}, but the key is from elsewhere; "
        "if that is not meant, set OPENAI_BASE_URL beside the key."
    )


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a process of ours reads these very settings.

    A key that a file holds is left there, so that the process finds a new one when it reads it again.
    """
    kept = {name: value for name, value in os.environ.items() if name.upper() not in environment_names()}
    given = {name: _plain(value) for name, value in _flat(settings).items() if value is not None}
    if key_file(settings):
        given.pop("OPENAI_API_KEY", None)
    return kept | given


def _flat(settings: Settings) -> dict[str, Any]:
    flat = {}
    for name, (model, field) in environment_names().items():
        group = name.removeprefix(PREFIX).partition("__")[0].lower()
        flat[name] = getattr(settings if model is Settings else getattr(settings, group), field)
    return flat


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _check_key_command(settings: Settings) -> None:
    """Refuse a command that whoever may write a file into the current folder could have named, and an unclear one."""
    if COMMAND.lower() in DotEnvSettingsSource(Settings).env_vars:
        raise SettingsError(
            f"{COMMAND} is set in .env, where a folder could bring a command along; set it in the environment, or as a "
            "file in RELABEL_SECRETS_DIR."
        )
    if settings.api.key_command is None:
        return
    in_environment = EnvSettingsSource(Settings).env_vars
    if not in_environment.get(COMMAND.lower()) and not in_environment.get("relabel_secrets_dir"):
        raise SettingsError(
            f"{COMMAND} is in a folder of secrets that only .env names; set RELABEL_SECRETS_DIR in the environment."
        )
    if settings.openai_api_key is not None:
        raise SettingsError(f"OPENAI_API_KEY and {COMMAND} are both set; unset one of them.")
    if not settings.rate.name and not settings.openai_project_id:
        raise SettingsError(
            f"{COMMAND} needs RELABEL_RATE__NAME, or OPENAI_PROJECT_ID; else each new key would have a rate of its own."
        )


def _refuse_odd_env_file() -> None:
    """Refuse a `.env` that would be waited for without an end, or fill memory."""
    try:
        found = Path(".env").stat()
    except OSError:
        return
    if stat.S_ISFIFO(found.st_mode) or found.st_size > ENV_FILE_BYTES:
        raise SettingsError(f".env is a pipe or larger than {ENV_FILE_BYTES >> 20} MiB; put a text file in its place.")


def _refuse_unknown_names() -> None:
    for name in map(str.upper, (*os.environ, *DotEnvSettingsSource(Settings).env_vars)):
        _refuse_unknown(name, name)


def _named_secrets_dir() -> Path | None:
    """Return the folder of secrets before all settings are read; None where it is none, which its own check says."""
    given = [*DotEnvSettingsSource(Settings).env_vars.items(), *os.environ.items()]
    folder = {name.upper(): value for name, value in given if value}.get(f"{PREFIX}SECRETS_DIR")
    return Path(folder) if folder and Path(folder).is_dir() else None


def _refuse_unknown_files(folder: Path | None) -> None:
    for path in folder.iterdir() if folder else ():
        _refuse_unknown(path.name.upper(), str(path))


def _refuse_unknown(name: str, where: str) -> None:
    known = environment_names()
    if not name.startswith(PREFIX) or name in known:
        return
    from difflib import get_close_matches  # noqa: PLC0415 - for a mistake alone

    own = {each.removeprefix(PREFIX): each for each in known}
    close = get_close_matches(name.removeprefix(PREFIX), own, n=1)
    hint = f"did you mean {own[close[0]]}?" if close else "`relabel config` lists what can be set."
    raise SettingsError(f"{where} is not a setting of relabel; {hint}")


def _name_of(location: tuple[int | str, ...]) -> str:
    name = "__".join(str(part) for part in location).upper()
    return name if name.startswith("OPENAI_") else PREFIX + name
