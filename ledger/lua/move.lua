#!lua flags=allow-oom
-- Move a job from one of some states to another, with an entry in its audit log, and in that of a second job.
-- `reading` as a state that it may come from is `submitting` while workers have yet to read the list for it.
-- KEYS: 1 job, 2 its audit log, 3 second job, 4 audit log of that, 5 counts
-- ARGV: 1 new state, 2 reason code ('' for none), 3 reason ('' for none), 4 audit entry, 5 that for the
--       second job ('' for none, JSON without the time), 6 since when the job runs ('' for any time: a job that was
--       resumed since stays as it is), then the states it may come from
-- Returns: the state that the job had; '' where there is no such job
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return ''
end
if ARGV[6] ~= '' and state == 'running' and ARGV[6] ~= (redis.call('HGET', KEYS[1], 'running_at') or '0') then
  return state
end
local is_read = redis.call('HEXISTS', KEYS[1], 'reading') == 0
for i = 7, #ARGV do
  if ARGV[i] == state or (ARGV[i] == 'reading' and state == 'submitting' and not is_read) then
    redis.call('HDEL', KEYS[1], 'reason', 'reason_code')
    if ARGV[1] == 'finished' or ARGV[1] == 'cancelled' then
      finish(KEYS[1], ARGV[1])
    elseif ARGV[1] == 'paused' then
      redis.call('HSET', KEYS[1], 'state', 'paused', 'paused_at', timestamp())
    elseif ARGV[1] == 'held' then
      redis.call('HSET', KEYS[1], 'state', 'held', 'held_at', timestamp())
    else
      redis.call('HSET', KEYS[1], 'state', ARGV[1])
    end
    if ARGV[1] ~= 'paused' then
      redis.call('HDEL', KEYS[1], 'reading')
    end
    if ARGV[1] == 'running' then
      redis.call('HSET', KEYS[1], 'running_at', timestamp())
    end
    if ARGV[2] ~= '' then
      redis.call('HSET', KEYS[1], 'reason_code', ARGV[2], 'reason', ARGV[3])
    end
    audit(KEYS[1], KEYS[2], ARGV[4])
    audit(KEYS[3], KEYS[4], ARGV[5])
    if ARGV[1] == 'finished' then
      local who = ARGV[4] ~= '' and cjson.decode(ARGV[4]).who or ''
      audit_event(KEYS[1], KEYS[2], who, 'finished', counted(KEYS[5]))
    end
    return state
  end
end
return state
