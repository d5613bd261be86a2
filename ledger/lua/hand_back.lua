-- Store what the next turn of a shard needs: traffic that no settlement reported, and how often its rows failed.
-- KEYS: 1 job, 2 counts, 3 tries, 4 owners, 5 pace
-- ARGV: 1 shard, 2 owner, 3 requests, 4 retries, 5 throttled of the turn so far, then for each row: row number in
--       the job, its tries (msgpack)
-- Returns: rows kept; -1 where the job is gone, -2 where the lease is another's, whose results count
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then
  return -1
end
if not is_owner(KEYS[4], ARGV[1], ARGV[2]) then
  return -2
end
count_traffic(KEYS[2], KEYS[5], ARGV[1], ARGV[2], { ARGV[3], ARGV[4], ARGV[5] })
for i = 6, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
return (#ARGV - 5) / 2
