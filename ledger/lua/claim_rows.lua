-- Release the claims on completions that a worker has settled, renew those it works on and take others, over all jobs.
-- A claim is `job owner mark`: mark 2 says that it was taken over from an earlier owner of the same job. One without
-- these three words was made by release one and is another's. A settled write leaves `= until record` in its claim's
-- place; the next claim carries it as `job owner mark until record`, and puts it back where it leaves none of its own.
-- KEYS: the claims to give up, then those to keep, then those to take; for a worker of a job also, as the last two,
--       the job and the owners of its shards
-- ARGV: 1 job ('-' for none), 2 owner, 3 shard, 4 time to live (milliseconds), 5 claims to give up, 6 claims to keep,
--       7 time to live of a record (milliseconds), then for each claim to give up the record to leave ('' for none)
-- Returns: list: 1 text of a mark for each claim to keep ('1' kept, '0' lost), 2 text of a mark for each to take
--          ('1' taken, '2' taken over, '3' taken with a record, '4' taken over with a record, '0' another's), then for
--          each of the latter three, in order, the record, or the job that has it ('' where not known);
--          -1 where the job is gone, -2 where the lease is another's: then claims are given up, and none is taken
local mine = ARGV[1] .. ' ' .. ARGV[2] .. ' '
local given, kept, last = tonumber(ARGV[5]), tonumber(ARGV[5]) + tonumber(ARGV[6]), #KEYS
local now = math.floor(now() * 1000)

local function is_ours(held)
  return held and string.sub(held, 1, #mine) == mine
end

-- the record in a value, and until when it counts (milliseconds); nil where there is none
local function record_of(held)
  local ends, record = string.match(held, '^= (%d+) (.*)$')
  if not ends then
    ends, record = string.match(held, '^%S+ %S+ %d (%d+) (.*)$')
  end
  if ends and tonumber(ends) > now then
    return record, ends
  end
end

local function take(key, mark, record, ends)
  redis.call('SET', key, mine .. mark .. (record and ' ' .. ends .. ' ' .. record or ''), 'PX', ARGV[4])
end

for i = 1, given do
  local held = redis.call('GET', KEYS[i])
  if is_ours(held) then
    local record, ends = ARGV[7 + i], now + tonumber(ARGV[7])
    if record == '' then
      record, ends = record_of(held)
    end
    if record then
      redis.call('SET', KEYS[i], string.format('= %d ', ends) .. record, 'PX', ends - now)
    else
      redis.call('DEL', KEYS[i])
    end
  end
end
if ARGV[1] ~= '-' then
  last = #KEYS - 2
  if redis.call('EXISTS', KEYS[last + 1]) == 0 then
    return -1
  end
  if not is_owner(KEYS[last + 2], ARGV[3], ARGV[2]) then
    return -2
  end
end
local keeps, takes, answer = {}, {}, {}
for i = given + 1, kept do
  local ours = is_ours(redis.call('GET', KEYS[i]))
  if ours then
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
  end
  keeps[#keeps + 1] = ours and '1' or '0'
end
for i = kept + 1, last do
  local mark, record, ends = 1, nil, nil
  if not redis.call('SET', KEYS[i], mine .. '1', 'NX', 'PX', ARGV[4]) then
    local held = redis.call('GET', KEYS[i])
    local job = string.match(held, '^(%S+) %S+ %d$') or string.match(held, '^(%S+) %S+ %d ') or ''
    record, ends = record_of(held)
    if is_ours(held) then
      redis.call('PEXPIRE', KEYS[i], ARGV[4])
      mark = tonumber(string.sub(held, #mine + 1, #mine + 1))
    elseif string.sub(held, 1, 2) == '= ' then
      take(KEYS[i], '1', record, ends)
    elseif job == ARGV[1] and job ~= '-' then
      take(KEYS[i], '2', record, ends)
      mark = 2
    else
      mark = 0
      answer[#answer + 1] = job == '-' and '' or job
    end
    if record and mark > 0 then
      answer[#answer + 1] = record
      mark = mark + 2
    end
  end
  takes[#takes + 1] = tostring(mark)
end
return { table.concat(keeps), table.concat(takes), unpack(answer) }
