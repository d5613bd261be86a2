#!/bin/sh
# Removes a key from two completions of the stand-in.
set -eu
cd "$(dirname "$0")"
exec relabel run --sandbox --yes removals.jsonl
