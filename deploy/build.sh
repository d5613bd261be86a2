#!/bin/sh
# Installs relabel and the versions that its tests ran with, each checked by its hash, into an environment of its own; the
# Dockerfile and a test run it.
set -eu
prefix=$1
python=${PYTHON:-python3}

# environment FOLDER ARGUMENTS: pip for an environment that has none
environment() {
  target=$1
  shift
  "$python" -m pip --python "$target/bin/python" --no-cache-dir --disable-pip-version-check --no-input "$@"
}

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$python" -m venv --without-pip "$prefix"
"$python" -m venv --without-pip "$made/builder"
environment "$made/builder" install --quiet --require-hashes --requirement deploy/build-requirements.txt
environment "$made/builder" wheel --quiet --no-build-isolation --no-deps --wheel-dir "$made" .
environment "$prefix" install --quiet --only-binary :all: --require-hashes --requirement deploy/requirements.txt
environment "$prefix" install --quiet --no-deps "$made"/relabel-*.whl
