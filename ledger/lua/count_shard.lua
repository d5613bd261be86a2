#!lua flags=allow-oom
-- Count what a closed shard of a plan would change, and keep the digest of its rows: once a shard, whoever counts it.
-- KEYS: 1 job, 2 digests, 3 changes
-- ARGV: 1 shard, 2 digest (hex), 3 most changes that are kept of one key, 4 most in all, then for each change: the key,
--       the change (msgpack; '' where it is too long to be kept), its rows
-- Of the hash `changes`, `=` and a change is its rows, `#` and a key how many changes are kept of it, `+` and a key the
-- rows of those that are not; `+` alone of keys that are too many.
-- Returns: 1 where the shard was counted, 0 where it had been, or the job is gone
local life = redis.call('PTTL', KEYS[1])
if life < 0 or redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then
  return 0
end
local most_of_key, most = tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 5, #ARGV, 3 do
  local key, change, rows = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local kept = change ~= '' and redis.call('HEXISTS', KEYS[3], '=' .. change) == 1
  if change ~= '' and not kept and redis.call('HLEN', KEYS[3]) < most
    and tonumber(redis.call('HGET', KEYS[3], '#' .. key) or 0) < most_of_key then
    redis.call('HINCRBY', KEYS[3], '#' .. key, 1)
    kept = true
  end
  if kept then
    redis.call('HINCRBY', KEYS[3], '=' .. change, rows)
  else
    local room = redis.call('HLEN', KEYS[3]) < 2 * most or redis.call('HEXISTS', KEYS[3], '+' .. key) == 1
    redis.call('HINCRBY', KEYS[3], '+' .. (room and key or ''), rows)
  end
end
for i = 2, 3 do
  redis.call('PEXPIRE', KEYS[i], life)
end
return 1
