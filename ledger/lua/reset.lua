#!lua flags=allow-oom
-- Record that the ledger came in the place of another one, unless that is recorded: the first to see it counts.
-- KEYS: 1 totals
-- ARGV: 1 generation of the other ledger, 2 who saw it, 3 jobs of it that were not remembered one by one
-- Returns: 1 where it was recorded now, else 0
if redis.call('HGET', KEYS[1], 'ledger:generation') == ARGV[1] then
  return 0
end
if redis.call('HSETNX', KEYS[1], 'ledger:reset_at', timestamp()) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'ledger:reset_seen_by', ARGV[2], 'ledger:reset_unnamed', ARGV[3])
return 1
