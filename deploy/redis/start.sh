#!/bin/sh
# Starts the ledger's server with the users of users.acl: `relabel`, whose password is in a file, and `health`, who may
# only ask whether it lives. Channels are not narrowed down, as kombu subscribes by pattern, which needs the very pattern;
# keys only to `relabel`, as kombu asks for its queue without the prefix that it puts before all else. `default`, whom nobody
# can be as it is off, may do all: the append-only file is read as that user, and Redis 7.0, for one, drops from it, at each
# start, what scripts wrote that the user may not write (redis/redis#14541, valkey-io/valkey#3983).
set -eu

password_file=${PASSWORD_FILE:-/run/secrets/relabel_redis__password}
users=${USERS_FILE:-/etc/relabel/users.acl}

password=$(cat "$password_file")
[ -n "$password" ] || { echo "$password_file is empty; run deploy/secrets.sh" >&2; exit 2; }
hash=$(printf %s "$password" | sha256sum)

filled=${TMPDIR:-/tmp}/users.acl
umask 077
sed "s/SHA256_OF_THE_PASSWORD/${hash%% *}/" "$users" > "$filled"

# appendfsync always: a before-image must be on disk before the write that it is for leaves
exec valkey-server \
  --dir "${FOLDER:-/data}" --port "${PORT:-6379}" --aclfile "$filled" \
  --appendonly yes --appendfsync always --save "" \
  --maxmemory "${MAXMEMORY:-1gb}" --maxmemory-policy noeviction
