#!lua flags=allow-oom
-- Append a line to a job's audit log, which lives as long as the job: a log that begins after the job's end, too.
-- KEYS: 1 job, 2 audit log
-- ARGV: 1 line (JSON)
-- Returns: lines; 0 where the job is gone, whose log would stay for ever
local life = redis.call('PTTL', KEYS[1])
if life < 0 then
  return 0
end
local lines = redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], life)
return lines
