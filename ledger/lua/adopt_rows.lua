-- Give a job the rows that were made of its selection and stored apart, all of them at once.
-- KEYS: 1 job, 2 lock, 3 counts, 4 outcomes, 5 times, 6 pages of the selection, 7 series, then pairs: a key of the rows
--       that were stored apart, and the job's key that it becomes
-- ARGV: 1 the lock's owner, 2 spec (JSON), 3 rows, 4 rejected rows, 5 folded rows, 6 rows that are unchanged from the start
-- Returns: 1 where the job has them; 0 where another has the lock, or the job is not to be read any more
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'state') ~= 'submitting' then
  return 0
end
if redis.call('HSETNX', KEYS[1], 'adopted', 1) == 0 then
  return 1 -- its answer was lost
end
redis.call('HSET', KEYS[1], 'spec', ARGV[2])
redis.call('HSET', KEYS[3], 'total', ARGV[3] + ARGV[4] + ARGV[6], 'rejected', ARGV[4], 'folded', ARGV[5],
  'unchanged', ARGV[6])
if tonumber(ARGV[3]) > 0 then
  redis.call('SETRANGE', KEYS[4], ARGV[3] - 1, '\0')
  redis.call('SETRANGE', KEYS[5], ARGV[3] * 4 - 1, '\0')
end
begin_series(KEYS[7], ARGV[6])
for i = 8, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('RENAME', KEYS[i], KEYS[i + 1])
  end
end
local life = redis.call('PTTL', KEYS[1])
for _, key in ipairs({ KEYS[4], KEYS[5], KEYS[7] }) do
  redis.call('PEXPIRE', key, life)
end
redis.call('UNLINK', KEYS[6])
return 1
