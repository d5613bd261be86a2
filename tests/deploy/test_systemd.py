"""The systemd units, by systemd's own checks."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.environment import environment_names
from relabel import __version__
from relabel.worker_process import STOP_S
from web.server import END_WITHIN_S

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
NAMES = sorted(path.name.replace("@.", "@1.") for path in UNITS.glob("*.service"))
MOST_EXPOSED = 2.0
"""On systemd's scale from 0 to 10, where it calls 1.3 OK and an unrestricted service 9.6 UNSAFE."""
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they would lie in /etc, with relabel where it is on this machine."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for unit in folder.glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/relabel/bin", str(Path(sys.executable).parent)))
    return folder


def analyze(folder: Path, *arguments: str) -> str:
    """Ask systemd-analyze, with a search path that begins with the folder; it must have nothing to complain about."""
    command = ["systemd-analyze", *arguments]
    told = subprocess.run(
        command, env={"SYSTEMD_UNIT_PATH": f"{folder}:"}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (told.returncode, told.stderr) == (0, ""), told
    return told.stdout


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_valid_and_has_few_rights(installed: Path, name: str):
    """With the drop-in that all of them share."""
    analyze(installed, "verify", "--man=no", str(installed / name))
    told = analyze(installed, "security", "--no-pager", "--offline=yes", str(installed / name))

    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert level is not None, told
    assert float(level[1]) < MOST_EXPOSED


def test_the_operations_install_this_version():
    """Into an environment of its own, to which the link leads that the units name."""
    told = (UNITS.parents[1] / "docs/operations.md").read_text()

    assert f"deploy/build.sh /opt/relabel-{__version__} " in told
    assert f"ln -sfT relabel-{__version__} /opt/relabel " in told


def test_units_name_settings_that_there_are():
    """In the example of the environment file, and as credentials, which become secrets' files."""
    told = (UNITS / "relabel.env.example").read_text()
    credentials = {name for path in UNITS.rglob("*.*") for name in re.findall(r"LoadCredential=(\w+):", _text(path))}

    assert set(re.findall(r"^#?(RELABEL_\w+)=", told, flags=re.MULTILINE)) <= set(environment_names())
    assert {name.upper() for name in credentials} <= set(environment_names())
    assert credentials >= {"openai_api_key", "relabel_redis__password"}


def test_a_worker_and_a_server_get_the_time_they_need_to_end():
    """And children are left to their worker until then."""
    shared = configparser.ConfigParser(strict=False, interpolation=None)
    shared.optionxform = str
    shared.read(UNITS / "relabel-.service.d" / "common.conf")

    assert float(shared["Service"]["TimeoutStopSec"]) > max(STOP_S, END_WITHIN_S)
    assert shared["Service"]["KillMode"] == "mixed"
    assert shared["Service"]["Restart"] == "always"


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
