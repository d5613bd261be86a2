#!lua flags=allow-oom
-- Settle every open row of a parked or cancelled shard with one outcome, and close the shard. Its before-images move to
-- those of the other closed shards, which expire with the job.
-- KEYS: 1 job, 2 counts, 3 outcomes, 4 details, 5 waiting, 6 announced, 7 leased, 8 tries, 9 journal of the shard,
--       10 journals, 11 times, 12 audit log, 13 series
-- ARGV: 1 shard, 2 first row, 3 rows, 4 outcome (1-7), 5 detail (msgpack, '' for none), 6 detail of rows that may have
--       been written, 7 who closes it, then the numbers in the job of those rows
-- Returns: rows written; -1 where a worker is at the shard or the job is gone
if redis.call('EXISTS', KEYS[1], KEYS[3]) < 2 or redis.call('ZSCORE', KEYS[7], ARGV[1]) then
  return -1
end
local outcomes = redis.call('GETRANGE', KEYS[3], ARGV[2], ARGV[2] + ARGV[3] - 1)
local in_doubt, doubtful = {}, 0
for i = 8, #ARGV do
  in_doubt[tonumber(ARGV[i])] = true
end
local stamp = time_stamp(KEYS[11])
local written, from = 0, string.find(outcomes, '%z')
while from do
  local row = ARGV[2] + from - 1
  local detail = in_doubt[row] and ARGV[6] or ARGV[5]
  redis.call('SETRANGE', KEYS[3], row, string.char(ARGV[4]))
  stamp(row)
  if detail ~= '' then
    redis.call('HSET', KEYS[4], row, detail)
  end
  if in_doubt[row] then
    doubtful = doubtful + 1
  end
  redis.call('HDEL', KEYS[8], row)
  written = written + 1
  from = string.find(outcomes, '%z', from + 1)
end
if written > 0 then
  redis.call('HINCRBY', KEYS[2], OUTCOMES[tonumber(ARGV[4])], written)
end
record_pace(KEYS[2], KEYS[13])
if OUTCOMES[tonumber(ARGV[4])] == 'failed' then
  audit_event(KEYS[1], KEYS[12], ARGV[7], 'park', 'shard ' .. ARGV[1] .. ', of which ' .. written .. ' rows failed')
end
if doubtful > 0 then
  redis.call('HINCRBY', KEYS[1], 'may_have_been_written', doubtful)
end
local journal = redis.call('GET', KEYS[9])
if journal then
  redis.call('HSET', KEYS[10], ARGV[1], journal)
  redis.call('DEL', KEYS[9])
end
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
local left = redis.call('ZCARD', KEYS[5]) + redis.call('ZCARD', KEYS[6]) + redis.call('ZCARD', KEYS[7])
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'running' and state ~= 'paused' then
  return written
end
judge_canary(KEYS[1], KEYS[3], KEYS[4], KEYS[12], ARGV[7], left > 0)
if left == 0 then
  finish(KEYS[1], 'finished')
  audit_event(KEYS[1], KEYS[12], ARGV[7], 'finished', counted(KEYS[2]))
end
return written
