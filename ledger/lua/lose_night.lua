#!lua flags=allow-oom
-- Record a nightly run as lost that somebody remembers and that is not there any more: once.
-- KEYS: 1 night, 2 nights, 3 lost
-- ARGV: 1 date, 2 the run as it is to be shown (JSON), 3 when it began, 4 when the loss was found (seconds since the
--       epoch), 5 life of the run (milliseconds), 6 life of the entries in the list of what is lost (seconds)
-- Returns: 1 where it was recorded now, else 0
if redis.call('HSETNX', KEYS[1], 'night', ARGV[2]) == 0 then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[4], 'night:' .. ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now() - ARGV[6])
redis.call('EXPIRE', KEYS[3], ARGV[6])
return 1
