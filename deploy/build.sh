#!/bin/sh
# Installs relabel and the versions that its tests ran with into an environment of its own; the Dockerfile and a test run it.
set -eu
prefix=$1
python=${PYTHON:-python3}

"$python" -m venv --without-pip "$prefix"
"$python" -m pip --python "$prefix/bin/python" install \
  --quiet --no-cache-dir --disable-pip-version-check --no-input --constraint constraints.txt '.[flower,web]'
