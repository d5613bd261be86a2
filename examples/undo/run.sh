#!/bin/sh
# Starts the stand-in, changes two completions, and undoes the change.
set -eu
cd "$(dirname "$0")"
port=${1:-8765}
relabel sandbox --port "$port" --load completions.json &
sandbox=$!
trap 'kill "$sandbox"' EXIT
export OPENAI_BASE_URL="http://127.0.0.1:$port/v1" OPENAI_API_KEY=sk-example
until relabel health --only api >/dev/null 2>&1; do kill -0 "$sandbox"; sleep 0.2; done
job=$(relabel run --yes --json changes.csv | sed -n 's/.*"job_id": *"\([^"]*\)".*/\1/p')
relabel undo "$job" --run --yes
