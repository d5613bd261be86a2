#!lua flags=allow-oom
-- Move a job from one of some states to another.
-- KEYS: 1 job
-- ARGV: 1 new state, 2 reason code ('' for none), 3 reason ('' for none), then the states it may come from
-- Returns: the state that the job had; '' where there is no such job
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return ''
end
for i = 4, #ARGV do
  if ARGV[i] == state then
    redis.call('HDEL', KEYS[1], 'reason', 'reason_code')
    if ARGV[1] == 'finished' or ARGV[1] == 'cancelled' then
      finish(KEYS[1], ARGV[1])
    elseif ARGV[1] == 'paused' then
      redis.call('HSET', KEYS[1], 'state', 'paused', 'paused_at', timestamp())
    else
      redis.call('HSET', KEYS[1], 'state', ARGV[1])
    end
    if ARGV[2] ~= '' then
      redis.call('HSET', KEYS[1], 'reason_code', ARGV[2], 'reason', ARGV[3])
    end
    return state
  end
end
return state
