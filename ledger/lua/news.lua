-- Note what the log is told of a job or a limit, so that of all workers just one tells each change.
-- KEYS: 1 job or limit
-- ARGV: 1 how it stands
-- Returns: what the log was told last ('' for nothing); false where that is the same, or there is no such thing
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local told = redis.call('HGET', KEYS[1], 'logged') or ''
if told == ARGV[1] then
  return false
end
redis.call('HSET', KEYS[1], 'logged', ARGV[1])
return told
