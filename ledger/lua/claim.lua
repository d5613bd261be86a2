-- Take a fingerprint for a job, if nobody has it or the job that has it is the one to replace.
-- KEYS: 1 fingerprint
-- ARGV: 1 job id to replace ('' for none), 2 job id, 3 time to live (milliseconds)
-- Returns: the job id that has the fingerprint now
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return holder
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return ARGV[2]
