-- Give completions up that a worker is done with, and take others that nobody works on, over all jobs.
-- KEYS: the claims to give up, then those to take (or to keep)
-- ARGV: 1 owner, 2 time to live (milliseconds), 3 number of claims to give up
-- Returns: text of '1' (taken) or '0' (another's), one for each claim to take: parsed faster than a list
local given = tonumber(ARGV[3])
for i = 1, given do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    redis.call('DEL', KEYS[i])
  end
end
local taken = {}
for i = given + 1, #KEYS do
  local free = redis.call('SET', KEYS[i], ARGV[1], 'NX', 'PX', ARGV[2])
  if not free and redis.call('GET', KEYS[i]) == ARGV[1] then
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
    free = true
  end
  taken[#taken + 1] = free and '1' or '0'
end
return table.concat(taken)
