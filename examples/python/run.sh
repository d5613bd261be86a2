#!/bin/sh
# Starts the stand-in with eight completions, and runs the programs against it: each brings its server and its worker.
set -eu
cd "$(dirname "$0")"
port=${1:-8766}
relabel sandbox --port "$port" --load ../select/completions.json &
sandbox=$!
trap 'kill "$sandbox"' EXIT
export OPENAI_BASE_URL="http://127.0.0.1:$port/v1" OPENAI_API_KEY=sk-example
until relabel health --only api >/dev/null 2>&1; do kill -0 "$sandbox"; sleep 0.2; done
shift $(($# > 0))
for program in ${*:-labels.py frame.py planned.py}; do
  echo "--- $program"
  python "$program"
done
