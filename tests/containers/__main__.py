"""Containers for real: `make containers`.

An engine of its own builds the image and runs all that docs/operations.md says of containers, command by command, in
namespaces that end with it: no engine, image, interface or packet filter of this machine is touched. It needs root,
Linux, mmdebstrap, and some 3 GB below the temporary folder, or in `--folder`, which keeps what was fetched.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from tests.containers.stand_ins import prepare
from tests.harness.walked import walk_in_namespaces


def main() -> None:
    """Prepare, walk, and compare this machine with what it was; the exit code is 0 where all held."""
    parser = argparse.ArgumentParser(description="Walk through docs/operations.md with a container engine.")
    parser.add_argument("--folder", type=Path, help="keep what is fetched here, for the next time")
    parser.add_argument("--images", type=Path, help="archives of `docker save` with the real images")
    options = parser.parse_args()
    archives = [str(options.images.resolve())] if options.images else []
    if options.folder:
        shutil.rmtree(options.folder / "data", ignore_errors=True)
    walk_in_namespaces("tests.containers.walk", prepare, folder=options.folder, arguments=archives)


if __name__ == "__main__":
    main()
