#!lua flags=allow-oom
-- Find out whether a message is to ask workers to read the list for a job: nobody does, and the last one is unanswered.
-- KEYS: 1 job, 2 lock
-- ARGV: 1 seconds after which a message counts as lost
-- Returns: 1 where one is to be sent; else 0
if redis.call('HGET', KEYS[1], 'state') ~= 'submitting' or redis.call('HEXISTS', KEYS[1], 'reading') == 0 then
  return 0
end
local called_at = redis.call('HGET', KEYS[1], 'called_at')
if redis.call('EXISTS', KEYS[2]) == 1 or (called_at and now() - called_at < tonumber(ARGV[1])) then
  return 0
end
redis.call('HSET', KEYS[1], 'called_at', timestamp())
return 1
