#!/bin/sh
# Makes secrets/ for docker-compose.yml: new passwords for Redis, Flower and Grafana, and the API's key from standard input.
# What is there stays. The folder keeps others out; each file can be read by the container that it is mounted into.
set -eu
folder=${1:-secrets}

mkdir -p "$folder"
chmod 700 "$folder"

keep() { # NAME VALUE
  [ -s "$folder/$1" ] || { rm -f "$folder/$1"; printf '%s\n' "$2" > "$folder/$1"; }
  chmod 444 "$folder/$1"
}
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

keep relabel_redis__password "$(random)"
keep relabel_flower__basic_auth "relabel:$(random)"
keep grafana_password "$(random)"

if [ ! -s "$folder/openai_api_key" ]; then
  if [ -t 0 ]; then
    printf 'OPENAI_API_KEY (not shown): ' >&2
    trap 'stty echo' EXIT
    stty -echo
  fi
  read -r key || true
  [ -n "${key:-}" ] || { echo "secrets.sh: no key was given; a rehearsal needs none, run it again for the rest." >&2; exit 2; }
  keep openai_api_key "$key"
fi
echo "secrets.sh: $folder/ is complete." >&2
