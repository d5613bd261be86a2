"""Adds Python itself and Debian's packages to a bill of materials of Python's packages; deploy/sbom.sh runs it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def debian_packages() -> list[dict[str, Any]]:
    """Return a component for each of Debian's packages; none where the system is not Debian's."""
    release = platform.freedesktop_os_release()
    if release["ID"] != "debian":
        return []
    fields = "${binary:Package}\t${Version}\t${Architecture}\t${Maintainer}\n"
    listed = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={fields}"], capture_output=True, text=True, check=True
    )
    return [debian_package(*line.split("\t"), release["VERSION_CODENAME"]) for line in listed.stdout.splitlines()]


def debian_package(name: str, version: str, architecture: str, maintainer: str, codename: str) -> dict[str, Any]:
    """Return the component of one package, named as the package URL specification names them."""
    name = name.partition(":")[0]
    url = f"pkg:deb/debian/{name}@{version}?arch={architecture}&distro={codename}"
    return component(name, version, url) | {"supplier": {"name": maintainer}}


def component(name: str, version: str, url: str) -> dict[str, Any]:
    """Return a component that others may refer to by its package URL."""
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url.replace("+", "%2B")}


def main() -> None:
    """Read the bill that is named, add what it lacks, check it against the standard's schema, and print it."""
    bill = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    version = platform.python_version()
    python = component("cpython", version, f"pkg:generic/cpython@{version}") | {"type": "platform"}
    bill["components"] += [python, *debian_packages()]
    written = json.dumps(bill, indent=2)
    wrong = JsonStrictValidator(SchemaVersion.from_version(bill["specVersion"])).validate_str(written)
    if wrong is not None:
        raise SystemExit(f"sbom.py: not CycloneDX {bill['specVersion']}: {wrong}")
    print(written)


if __name__ == "__main__":
    main()
