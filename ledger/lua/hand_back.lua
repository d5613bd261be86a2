-- Keep what a turn leaves behind for the next one: traffic that no settlement told of, and how often rows failed.
-- KEYS: 1 job, 2 counts, 3 tries
-- ARGV: 1 requests, 2 retries, 3 throttled, then for each row: row number in the job, its tries (msgpack)
-- Returns: rows kept; -1 where the job is gone
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then
  return -1
end
for i, word in ipairs({ 'requests', 'retries', 'throttled' }) do
  if ARGV[i] ~= '0' then
    redis.call('HINCRBY', KEYS[2], word, ARGV[i])
  end
end
for i = 4, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
return (#ARGV - 3) / 2
