-- Record the logged state of a job or a limit, so that one worker of all logs each change.
-- KEYS: 1 job or limit
-- ARGV: 1 the state now
-- Returns: the state that was logged before ('' for none); false where it is the same, or the key is gone
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local logged = redis.call('HGET', KEYS[1], 'logged') or ''
if logged == ARGV[1] then
  return false
end
redis.call('HSET', KEYS[1], 'logged', ARGV[1])
return logged
