-- Let the worker that has the lock read the list for a job's selection, unless workers died at it time and again.
-- Of the job's hash, `reading` is how often one began since a page was kept; it is there until the rows are stored.
-- `seen_at` is when a reader was heard of last.
-- KEYS: 1 job, 2 lock
-- ARGV: 1 the lock's owner, 2 most times that a worker begins without a page being kept
-- Returns: 1 where it may read; 0 where there is nothing to read, or another has the lock; 2 where workers died at it
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'state') ~= 'submitting' then
  return 0
end
local began = redis.call('HGET', KEYS[1], 'reading')
if not began then
  return 0
end
if redis.call('HGET', KEYS[1], 'reader') == ARGV[1] then
  return 1 -- its answer was lost
end
if tonumber(began) >= tonumber(ARGV[2]) then
  return 2
end
redis.call('HINCRBY', KEYS[1], 'reading', 1)
redis.call('HSET', KEYS[1], 'reader', ARGV[1], 'seen_at', timestamp())
return 1
