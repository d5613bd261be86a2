-- Take or renew a lock, or release it. Safe to repeat: an owner whose answer was lost asks again.
-- KEYS: 1 lock
-- ARGV: 1 owner, 2 life (milliseconds; 0 releases it)
-- Returns: 1 where the owner has the lock, or has released it; 0 where it is another's
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return 0
end
if tonumber(ARGV[2]) == 0 then
  redis.call('DEL', KEYS[1])
elseif owner then
  redis.call('PEXPIRE', KEYS[1], ARGV[2]) -- unlike SET, also where the server is at its memory limit
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
