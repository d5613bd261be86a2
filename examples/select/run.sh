#!/bin/sh
# Starts the stand-in with eight completions, selects some of them, and applies what each of them is to get.
set -eu
cd "$(dirname "$0")"
port=${1:-8765}
relabel sandbox --port "$port" --load completions.json &
sandbox=$!
folder=$(mktemp -d)
trap 'kill "$sandbox"; rm -r "$folder"' EXIT
export OPENAI_BASE_URL="http://127.0.0.1:$port/v1" OPENAI_API_KEY=sk-example
until relabel health --only api >/dev/null 2>&1; do kill -0 "$sandbox"; sleep 0.2; done
relabel select --metadata team=search --where 'number(metadata.score) >= 0.8 and not has(metadata.dataset)' \
  --set 'bucket={metadata.team}-{model}' --split dataset=train:50,test:50 -o "$folder/patches.csv"
cat "$folder/patches.csv"
relabel run --yes "$folder/patches.csv"
relabel select --where 'has(metadata.bucket)' --keys dataset,score -o "$folder/edit.csv"
relabel run --yes "$folder/edit.csv"
