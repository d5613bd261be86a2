-- In front of every script, after the list OUTCOMES (`ledger.scripts`): the clock, the end of a job, a turn's traffic.
local function now() -- seconds since the epoch by the server's clock, as a number
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end

local function timestamp() -- the same as the text that a job's hash holds
  return string.format('%.6f', now())
end

local function finish(job, state) -- end a job as `finished` or `cancelled`
  redis.call('HSET', job, 'state', state, 'finished_at', timestamp())
  redis.call('HDEL', job, 'reason', 'reason_code')
end

-- Append an entry to a job's audit log, which lives as long as the job. The entry is JSON without the time; '' is none.
-- Of more than MOST_ENTRIES the oldest are dropped.
-- Returns the entries that the log has; 0 where the job is gone, whose log would stay for ever
local MOST_ENTRIES = 1000
local function audit(job, log, entry)
  local life = redis.call('PTTL', job)
  if entry == '' or life < 0 then
    return 0
  end
  local entries = redis.call('RPUSH', log, '{"at":' .. timestamp() .. ',' .. string.sub(entry, 2))
  redis.call('LTRIM', log, -MOST_ENTRIES, -1)
  redis.call('PEXPIRE', log, life)
  return math.min(entries, MOST_ENTRIES)
end

local function audit_event(job, log, who, verb, why) -- append an entry of what happened by itself
  return audit(job, log, cjson.encode({ who = who, verb = verb, why = why }))
end

local function worker_of(owner) -- the name of the worker that holds a lease, by the lease's owner
  return string.match(owner, '^(.*):') or owner
end

local function counted(counts) -- how a job's rows ended, in words, with those that are open
  local said, open = {}, tonumber(redis.call('HGET', counts, 'total') or 0)
  for _, outcome in ipairs(OUTCOMES) do
    local rows = tonumber(redis.call('HGET', counts, outcome) or 0)
    open = open - rows
    if rows > 0 then
      said[#said + 1] = outcome .. ' ' .. rows
    end
  end
  if open > 0 then
    said[#said + 1] = 'open ' .. open
  end
  return table.concat(said, ', ')
end

-- Return a function that stores that a row is settled now. A job of release one has no times, and gets none.
local function time_stamp(times)
  if redis.call('EXISTS', times) == 0 then
    return function() end
  end
  local at = struct.pack('>I4', math.floor(now()))
  return function(row)
    redis.call('SETRANGE', times, row * 4, at)
  end
end

local function is_owner(owners, shard, owner) -- whether the lease on the shard is this worker's
  return redis.call('HGET', owners, shard) == owner
end

-- Add a turn's requests, retries and throttled requests so far. A worker whose answer was lost reports the same sums
-- again, so only what was not counted before is added.
local function count_traffic(counts, pace, shard, owner, sums)
  local known = redis.call('HGET', pace, 'counted:' .. shard)
  local counted = { string.match(known or '', '^(%S+) (%d+) (%d+) (%d+)$') }
  for i, name in ipairs({ 'requests', 'retries', 'throttled' }) do
    local more = sums[i] - (counted[1] == owner and counted[i + 1] or 0)
    if more > 0 then
      redis.call('HINCRBY', counts, name, more)
    end
  end
  redis.call('HSET', pace, 'counted:' .. shard, owner .. ' ' .. table.concat(sums, ' '))
end
