-- Keep what a job's selection took of a page of the list, and where the reading stands after it; or only how far it is.
-- KEYS: 1 job, 2 lock, 3 pages
-- ARGV: 1 the lock's owner, 2 how far the reading is (JSON), 3 where it stands (JSON; '' where it has no new page), 4 what
--       was taken ('' for nothing), 5 pages that were kept before
-- Returns: 1 where it was kept; 0 where another has the lock, or the job is not to be read any more
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'state') ~= 'submitting' then
  return 0
end
redis.call('HSET', KEYS[1], 'found', ARGV[2], 'seen_at', timestamp())
if ARGV[3] == '' then
  return 1
end
redis.call('HSET', KEYS[1], 'mark', ARGV[3], 'read_at', timestamp(), 'reading', 0)
if ARGV[4] ~= '' and redis.call('LLEN', KEYS[3]) == tonumber(ARGV[5]) then -- else its answer was lost
  redis.call('RPUSH', KEYS[3], ARGV[4])
  redis.call('PEXPIRE', KEYS[3], redis.call('PTTL', KEYS[1]))
end
return 1
