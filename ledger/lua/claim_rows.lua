-- Give up completions that a worker is done with, keep those it works on and take others, over all jobs.
-- A claim is `job owner mark`: mark 2 says that it was taken over from an earlier owner of the same job. One without
-- these three words was made by release one and is another's.
-- KEYS: the claims to give up, then those to keep, then those to take; for a worker of a job also, as the last two,
--       the job and the owners of its shards
-- ARGV: 1 job ('-' for none), 2 owner, 3 shard, 4 time to live (milliseconds), 5 claims to give up, 6 claims to keep
-- Returns: list: 1 text of a mark for each claim to keep ('1' kept, '0' lost), 2 text of a mark for each to take
--          ('1' taken, '2' taken over, '0' another's), then for each that is another's its job ('' where not known);
--          -1 where the job is gone, -2 where the lease is another's: then claims are given up, and none is taken
local mine, taken_over = ARGV[1] .. ' ' .. ARGV[2] .. ' 1', ARGV[1] .. ' ' .. ARGV[2] .. ' 2'
local given, kept, last = tonumber(ARGV[5]), tonumber(ARGV[5]) + tonumber(ARGV[6]), #KEYS
for i = 1, given do
  local held = redis.call('GET', KEYS[i])
  if held == mine or held == taken_over then
    redis.call('DEL', KEYS[i])
  end
end
if ARGV[1] ~= '-' then
  last = #KEYS - 2
  if redis.call('EXISTS', KEYS[last + 1]) == 0 then
    return -1
  end
  if redis.call('HGET', KEYS[last + 2], ARGV[3]) ~= ARGV[2] then
    return -2
  end
end
local keeps, takes, answer = {}, {}, {}
for i = given + 1, kept do
  local held = redis.call('GET', KEYS[i])
  local ours = held == mine or held == taken_over
  if ours then
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
  end
  keeps[#keeps + 1] = ours and '1' or '0'
end
for i = kept + 1, last do
  local mark = '1'
  if not redis.call('SET', KEYS[i], mine, 'NX', 'PX', ARGV[4]) then
    local held = redis.call('GET', KEYS[i])
    local job = string.match(held, '^(%S+) %S+ %d$') or ''
    if held == mine or held == taken_over then
      redis.call('PEXPIRE', KEYS[i], ARGV[4])
      mark = string.sub(held, -1)
    elseif job == ARGV[1] and job ~= '-' then
      redis.call('SET', KEYS[i], taken_over, 'PX', ARGV[4])
      mark = '2'
    else
      mark = '0'
      answer[#answer + 1] = job == '-' and '' or job
    end
  end
  takes[#takes + 1] = mark
end
return { table.concat(keeps), table.concat(takes), unpack(answer) }
