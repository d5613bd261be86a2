"""The compose file by the specification's schema, and by what a person who runs such things would look for."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import SecretStr
from ruamel.yaml import YAML

from cli.main import cli
from config.environment import environment_names
from config.web import WebSettings
from relabel.worker_process import STOP_S
from web.server import END_WITHIN_S, require_safe_address

ROOT = Path(__file__).parents[2]
COMPOSE = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_COMMAND = {"relabel", "rehearse"}
"""Services that carry out a command and are gone."""
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("relabel:")]
NAME = re.compile(r"\$\{(\w+)")


def example() -> dict[str, str]:
    """What may be set in `.env`, with the lines that are commented out."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = (re.fullmatch(r"#?([A-Z_]+)=(.*)", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair}


def environments() -> Iterator[tuple[str, str, str]]:
    """Service, variable, value."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            yield name, variable, str(value)


def test_the_file_is_valid_by_the_compose_specification():
    """By the schema that check-jsonschema brings."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, "docker-compose.yml"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_is_kept_alive_bounded_and_without_rights(name):
    """Started again, looked after, no root, nothing written but where it must be."""
    service = SERVICES[name]

    assert service["restart"] == ("no" if name in ONE_COMMAND else "unless-stopped")
    assert bool(service["healthcheck"].get("disable")) == (name in ONE_COMMAND)
    assert (service["init"], service["read_only"], service["cap_drop"]) == (True, True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert name in OURS or service["user"].split(":")[0] not in {"root", "0"}
    assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), "a version, not a name that moves"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace > STOP_S or "worker" not in name
    assert grace > END_WITHIN_S or name != "web"


def test_every_setting_that_is_named_is_one():
    """In the compose file, in the example of `.env`, and as a secret's file."""
    named = {variable for _, variable, _ in environments()} | set(example())
    ours = {name for name in named if name.startswith(("RELABEL_", "OPENAI_"))}

    assert ours - set(environment_names()) == set()
    secrets = {secret.upper() for name in OURS for secret in SERVICES[name].get("secrets", [])}
    assert secrets - set(environment_names()) == set()


def test_no_secret_is_written_down():
    """What the settings hold secret comes from files, but for the rehearsal's key, which opens nothing."""
    names = environment_names()
    written = {
        (name, variable, value)
        for name, variable, value in environments()
        if variable in names and SecretStr in _types(*names[variable])
    }

    assert {entry for entry in written if "REDIS__URL" not in entry[1]} == {
        (name, "OPENAI_API_KEY", "rehearsal") for name in ("rehearsal-worker", "rehearse")
    }
    assert all(":" not in value.split("://")[1].split("@")[0] for _, name, value in written if "URL" in name)
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == {
        f"./secrets/{name}" for name in COMPOSE["secrets"]
    }


def test_what_can_be_set_is_in_the_example_and_what_is_in_it_counts():
    """A variable of the compose file is explained, and none is explained that does nothing."""
    used = set(NAME.findall((ROOT / "docker-compose.yml").read_text()))

    assert used - set(example()) == set()
    assert set(example()) - used - set(environment_names()) == set()


def test_the_rate_must_be_said():
    """Compose refuses to start without it, in words that say what to do."""
    assert COMPOSE["x-settings"]["RELABEL_RATE__PER_MINUTE"].startswith("${RELABEL_RATE__PER_MINUTE:?copy ")
    assert example()["RELABEL_RATE__PER_MINUTE"].isdigit()


def test_no_registry_is_asked_for_what_is_built_here():
    """A rehearsal would show itself; another's image of that name would be run."""
    assert {(SERVICES[name]["build"], SERVICES[name]["pull_policy"]) for name in OURS} == {(".", "never")}


def test_no_documented_start_makes_what_the_next_one_replaces():
    """`up --no-deps` makes containers without `depends_on`, and an `up` of Compose before 2.30 makes those anew."""
    starts = re.findall(r"docker compose .*\bup\b.*", (ROOT / "docs/operations.md").read_text())

    assert any("--no-recreate --scale" in start for start in starts)
    assert [start for start in starts if "--no-deps" in start] == []


def test_a_ca_of_ones_own_reaches_all_that_call_the_api():
    """By the file that is laid over this one."""
    over = YAML(typ="safe").load(ROOT / "deploy" / "private-ca.yml")["services"]
    keyed = {name for name in OURS if "openai_api_key" in SERVICES[name].get("secrets", [])}

    assert over.keys() == keyed
    for service in over.values():
        (mount,) = service["volumes"]
        assert (mount["source"], mount["target"]) == ("./ca.pem", service["environment"]["SSL_CERT_FILE"])
        assert (mount["read_only"], mount["bind"]["create_host_path"]) == (True, False)


def test_redis_and_the_rehearsal_reach_nothing_outside():
    """On a network without a way out; who needs one has it."""
    outside = {name for name, service in SERVICES.items() if "outside" in service.get("networks", [])}

    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert outside & {"redis", "beat", "sandbox"} == set()
    assert {SERVICES[name]["network_mode"] for name in ("rehearsal-worker", "rehearse")} == {"service:sandbox"}
    assert {"worker", "relabel"} <= outside


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each call of `relabel`, as a command or a health check."""
    for name in OURS:
        health = SERVICES[name]["healthcheck"].get("test", ["CMD"])[1:]
        for line in (SERVICES[name].get("command", []), health):
            if line and line[0] == "relabel":
                yield name, line[1:]


@pytest.mark.parametrize(("name", "line"), list(commands()))
def test_a_command_is_one_that_relabel_understands(name, line, monkeypatch):
    """Its options and values are read, and nothing is carried out."""
    monkeypatch.chdir(ROOT)
    command = cli.get_command(click.Context(cli), line[0])

    assert command is not None
    with command.make_context(line[0], line[1:]):
        pass


def test_every_file_and_volume_that_is_mounted_is_there():
    """Paths in the repository, names under `volumes`."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", volume).split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"], volume


def test_the_web_console_trusts_who_is_on_its_network_and_nobody_else():
    """This machine and a proxy beside it; so it may listen in the container, whose port no other machine reaches."""
    environment = SERVICES["web"]["environment"]
    (network,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    default = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", environment["RELABEL_WEB__TRUSTED_PROXIES"])

    assert environment["RELABEL_WEB__TRUSTED_PROXIES"] == network["subnet"]
    assert [name for name, service in SERVICES.items() if "front" in service.get("networks", [])] == ["web"]
    require_safe_address(WebSettings(trusted_proxies=default), environment["RELABEL_WEB__ADDRESS"])
    assert [port.rpartition(":")[2] for port in SERVICES["web"]["ports"]] == [str(environment["RELABEL_WEB__PORT"])]
    assert "openai_api_key" not in SERVICES["web"]["secrets"]


def test_metrics_see_the_disk_of_redis():
    """The room that is left on it is asked for where the volume is, and nothing can be written there."""
    folder = SERVICES["metrics"]["environment"]["RELABEL_METRICS__LEDGER_DISK"]
    volume = next(each.split(":")[0] for each in SERVICES["redis"]["volumes"] if each.endswith(":/data"))

    assert SERVICES["metrics"]["volumes"] == [f"{volume}:{folder}:ro"]


def _types(model: Any, field: str) -> tuple[Any, ...]:
    annotation = model.model_fields[field].annotation
    return getattr(annotation, "__args__", (annotation,))
