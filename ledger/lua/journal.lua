-- Store before-images of a shard, if the worker that read them still has the lease and the claims on the completions.
-- KEYS: 1 job, 2 owners, 3 journal of the shard, then the claims on the completions of the images
-- ARGV: 1 shard, 2 owner, 3 group of before-images, 4 time to live (milliseconds), 5 job id
-- Returns: list of the places (from 1) of claims that are not the worker's: where there is one, nothing was kept;
--          -1 where the job is gone, -2 where the lease is another's
if redis.call('EXISTS', KEYS[1]) == 0 then
  return -1
end
if not is_owner(KEYS[2], ARGV[1], ARGV[2]) then
  return -2
end
local mine, lost = ARGV[5] .. ' ' .. ARGV[2] .. ' ', {}
for i = 4, #KEYS do
  local held = redis.call('GET', KEYS[i])
  if not held or string.sub(held, 1, #mine) ~= mine then
    lost[#lost + 1] = i - 3
  end
end
if #lost == 0 then
  redis.call('APPEND', KEYS[3], ARGV[3])
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
end
return lost
