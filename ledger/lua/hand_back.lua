-- Keep what a turn leaves behind for the next one: traffic that no settlement told of, and how often rows failed.
-- KEYS: 1 job, 2 counts, 3 tries, 4 owners, 5 pace
-- ARGV: 1 shard, 2 owner, 3 requests, 4 retries, 5 throttled of the turn so far, then for each row: row number in
--       the job, its tries (msgpack)
-- Returns: rows kept; -1 where the job is gone, -2 where the lease is another's, whose word counts
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then
  return -1
end
if redis.call('HGET', KEYS[4], ARGV[1]) ~= ARGV[2] then
  return -2
end
-- an answer may be lost and the same be said again: of the turn's sums, count what was not counted before
local known = redis.call('HGET', KEYS[5], 'counted:' .. ARGV[1])
local counted = { string.match(known or '', '^(%S+) (%d+) (%d+) (%d+)$') }
for i, word in ipairs({ 'requests', 'retries', 'throttled' }) do
  local more = ARGV[i + 2] - (counted[1] == ARGV[2] and counted[i + 1] or 0)
  if more > 0 then
    redis.call('HINCRBY', KEYS[2], word, more)
  end
end
redis.call('HSET', KEYS[5], 'counted:' .. ARGV[1], table.concat(ARGV, ' ', 2, 5))
for i = 6, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
return (#ARGV - 5) / 2
