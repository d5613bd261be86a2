-- Write a new job as `submitting`, unless its id is taken: two jobs under one id would destroy each other.
-- One of a selection, which workers are to read, is among the active ones at once.
-- KEYS: 1 jobs, 2 active jobs, 3 job, 4 counts, 5 outcomes, 6 times, 7 series, 8 audit log, then the job's other keys
-- ARGV: 1 job id, 2 maker (another one with each call), 3 spec (JSON), 4 priority, 5 rate of its own (requests a
--       minute, '' for none), 6 rows, 7 rejected rows, 8 folded rows, 9 rows that are unchanged from the start, 10 time
--       to live (milliseconds), 11 selection (JSON, '' for none), 12 audit entry (JSON without the time, '' for none)
-- Returns: 1 where the job is there as this caller made it, also where it asks again; 0 where the id is another's
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    return redis.call('HGET', KEYS[3], 'maker') == ARGV[2] and 1 or 0
  end
end
local submitted_at = timestamp()
redis.call('HSET', KEYS[3], 'state', 'submitting', 'maker', ARGV[2], 'spec', ARGV[3], 'priority', ARGV[4],
  'submitted_at', submitted_at)
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[3], 'rate_per_minute', ARGV[5])
end
redis.call('HSET', KEYS[4], 'total', ARGV[6] + ARGV[7] + ARGV[9], 'rejected', ARGV[7], 'folded', ARGV[8],
  'unchanged', ARGV[9])
if tonumber(ARGV[6]) > 0 then
  redis.call('SETRANGE', KEYS[5], ARGV[6] - 1, '\0')
  redis.call('SETRANGE', KEYS[6], ARGV[6] * 4 - 1, '\0')
end
begin_series(KEYS[7], ARGV[9])
for i = 3, 7 do
  redis.call('PEXPIRE', KEYS[i], ARGV[10])
end
if ARGV[11] ~= '' then
  redis.call('HSET', KEYS[3], 'selection', ARGV[11], 'reading', 0, 'read_at', submitted_at, 'called_at', submitted_at)
  redis.call('SADD', KEYS[2], ARGV[1])
end
audit(KEYS[3], KEYS[8], ARGV[12])
redis.call('ZADD', KEYS[1], submitted_at, ARGV[1])
return 1
