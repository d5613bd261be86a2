-- Take a lock or keep it, or give it up.
-- KEYS: 1 lock
-- ARGV: 1 owner, 2 life (milliseconds; 0 gives it up)
-- Returns: 1 where the owner has the lock, or had it and gave it up; 0 where it is another's
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return 0
end
if tonumber(ARGV[2]) == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
