-- Write the outcomes of rows that have none yet, if their shard is still the worker's, and count what was written.
-- KEYS: 1 job, 2 counts, 3 outcomes, 4 details, 5 crashes, 6 pace, 7 tries, 8 owners, 9 audit log, 10 times
-- ARGV: 1 shard, 2 owner, 3 requests, 4 retries, 5 throttled of the turn so far, then for each row: row number in the job,
--       outcome (1-7), detail (msgpack, '' for none)
-- A job whose first rows all fail with one code pauses here: of its hash, `same_after` is how many (absent: it never
-- does), `same_rows` how many did so far, and `same_code` with which code.
-- Rows that drifted are counted by code, too: of the job's hash, `drifted:CODE`. These codes are ours, so that they are few.
-- Returns: rows written; -1 where the job or its outcomes are gone, -2 where the lease is another's
if redis.call('EXISTS', KEYS[1], KEYS[3]) < 2 then
  return -1
end
if not is_owner(KEYS[8], ARGV[1], ARGV[2]) then
  return -2
end
local numbers, drifted, written = {}, {}, 0
local tried = redis.call('EXISTS', KEYS[7]) == 1
local rule = redis.call('HMGET', KEYS[1], 'same_after', 'same_rows', 'same_code', 'state')
local after, same, code = tonumber(rule[1] or ''), tonumber(rule[2] or 0), rule[3]
local differs = false
local stamp = time_stamp(KEYS[10])
for i = 6, #ARGV, 3 do
  local row, outcome = ARGV[i], tonumber(ARGV[i + 1])
  if redis.call('GETRANGE', KEYS[3], row, row) == '\0' then
    redis.call('SETRANGE', KEYS[3], row, string.char(outcome))
    stamp(row)
    if ARGV[i + 2] ~= '' then
      redis.call('HSET', KEYS[4], row, ARGV[i + 2])
    end
    if tried then
      redis.call('HDEL', KEYS[7], row)
    end
    if after and not differs and same < after then
      local failed_with = OUTCOMES[outcome] == 'failed' and ARGV[i + 2] ~= '' and cmsgpack.unpack(ARGV[i + 2])[1]
      differs = not failed_with or (code and code ~= failed_with)
      same, code = same + 1, failed_with
    end
    if OUTCOMES[outcome] == 'drifted' and ARGV[i + 2] ~= '' then
      local drifted_with = cmsgpack.unpack(ARGV[i + 2])[1]
      drifted[drifted_with] = (drifted[drifted_with] or 0) + 1
    end
    numbers[outcome] = (numbers[outcome] or 0) + 1
    written = written + 1
  end
end
for outcome, number in pairs(numbers) do
  redis.call('HINCRBY', KEYS[2], OUTCOMES[outcome], number)
end
for drifted_with, number in pairs(drifted) do
  redis.call('HINCRBY', KEYS[1], 'drifted:' .. drifted_with, number)
end
count_traffic(KEYS[2], KEYS[6], ARGV[1], ARGV[2], { ARGV[3], ARGV[4], ARGV[5] })
if written > 0 then
  if differs or (after and same == after) then
    redis.call('HDEL', KEYS[1], 'same_after', 'same_rows', 'same_code')
  elseif after then
    redis.call('HSET', KEYS[1], 'same_rows', same, 'same_code', code)
  end
  if after and not differs and same == after and rule[4] == 'running' then
    local reason = 'the first ' .. same .. ' rows all failed with ' .. code
    redis.call('HSET', KEYS[1], 'state', 'paused', 'reason_code', 'same_failure', 'reason', reason,
      'paused_at', timestamp())
    audit_event(KEYS[1], KEYS[9], worker_of(ARGV[2]), 'pause', reason)
  end
  redis.call('HDEL', KEYS[5], ARGV[1], 'owners:' .. ARGV[1])
  -- pace: two marks at least 5 s apart, between which the rate is read
  local now = now()
  local settled = redis.call('HINCRBY', KEYS[6], 'settled', written)
  redis.call('HSET', KEYS[6], 'progress_at', string.format('%.6f', now))
  local mark = tonumber(redis.call('HGET', KEYS[6], 'mark_at') or '0')
  if now - mark >= 5 then
    local before = redis.call('HMGET', KEYS[6], 'mark_at', 'mark_rows')
    redis.call('HSET', KEYS[6], 'before_at', before[1] or now, 'before_rows', before[2] or settled - written,
      'mark_at', now, 'mark_rows', settled)
  end
end
return written
