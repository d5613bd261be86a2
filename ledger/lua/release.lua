-- End a worker's turn at a shard: close the shard where all its rows have an outcome, else queue it for its next turn.
-- KEYS: 1 job, 2 outcomes, 3 waiting, 4 announced, 5 leased, 6 owners, 7 crashes, 8 pace, 9 journal of the shard,
--       10 journals, 11 counts, 12 audit log, 13 details, 14 series
-- ARGV: 1 shard, 2 owner, 3 first row, 4 rows, 5 compacted journal ('' for none)
-- Returns: 'lost' (lease is another's or gone), 'waiting' (rows are left), 'closed', 'finished' (it was the job's last)
local state = redis.call('HGET', KEYS[1], 'state')
if not state or redis.call('EXISTS', KEYS[2]) == 0 or not is_owner(KEYS[6], ARGV[1], ARGV[2]) then
  return 'lost'
end
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[6], ARGV[1])
redis.call('HDEL', KEYS[8], 'shard:' .. ARGV[1], 'counted:' .. ARGV[1])
redis.call('HDEL', KEYS[7], ARGV[1], 'owners:' .. ARGV[1])
record_pace(KEYS[11], KEYS[14])
local outcomes = redis.call('GETRANGE', KEYS[2], ARGV[3], ARGV[3] + ARGV[4] - 1)
if string.find(outcomes, '%z') then
  redis.call('ZADD', KEYS[3], ARGV[1], ARGV[1])
  return 'waiting'
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[10], ARGV[1], ARGV[5])
  redis.call('DEL', KEYS[9])
end
if state ~= 'running' and state ~= 'paused' then
  return 'closed'
end
local left = redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4]) + redis.call('ZCARD', KEYS[5])
judge_canary(KEYS[1], KEYS[2], KEYS[13], KEYS[12], worker_of(ARGV[2]), left > 0)
if left > 0 then
  return 'closed'
end
-- its first rows all failed with one code: a person checks before it counts as finished
if redis.call('HGET', KEYS[1], 'reason_code') == 'same_failure' then
  return 'closed'
end
finish(KEYS[1], 'finished')
audit_event(KEYS[1], KEYS[12], worker_of(ARGV[2]), 'finished', counted(KEYS[11]))
return 'finished'
