#!/bin/sh
# Writes what an image holds as CycloneDX JSON: the environment that deploy/build.sh made, and Debian's packages below it.
set -eu
prefix=$1 file=$2
python=${PYTHON:-python3}

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$python" -m venv --without-pip "$tools"
"$python" -m pip --python "$tools/bin/python" --no-cache-dir --disable-pip-version-check --no-input \
  install --quiet --only-binary :all: --require-hashes --requirement deploy/sbom-requirements.txt

"$tools/bin/cyclonedx-py" environment --output-reproducible --pyproject pyproject.toml --output-file "$tools/python.json" \
  "$prefix/bin/python"
"$tools/bin/python" deploy/sbom.py "$tools/python.json" > "$file"
