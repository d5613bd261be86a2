-- In front of every script, after the lists OUTCOMES and TRIED (`ledger.scripts`): the clock, the end of a job, its
-- canary, a turn's traffic, a job's series.
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

-- Return how many of a job's first shards are given out while its canary is open or failed; nil: all of them are.
local function canary_gate(job)
  local canary = redis.call('HMGET', job, 'canary', 'canary_shards')
  return (canary[1] == 'running' or canary[1] == 'failed') and tonumber(canary[2]) or nil
end

-- Return whether a job still waits for the approval that it needs; nothing of it is given out before.
-- Of the job's hash, `needs_approval` is why (absent: it needs none), `approval_digest` what has to be approved,
-- `submitter` who may not, and `approved_digest`, `approved_by`, `approved_at` what was approved, by whom and when.
local function lacks_approval(job)
  local approval = redis.call('HMGET', job, 'needs_approval', 'approval_digest', 'approved_digest')
  return approval[1] and approval[2] ~= approval[3]
end

-- Return how many of the details of rows have each code, in words: 'not_found 2, timeout 1'. Beyond MOST_CODES they are
-- counted together, as codes come from the server.
local MOST_CODES = 5
local function codes_of(details, rows)
  local numbers, codes, others = {}, {}, 0
  for _, row in ipairs(rows) do
    local detail = redis.call('HGET', details, row)
    local code = detail and cmsgpack.unpack(detail)[1] or 'unknown'
    if numbers[code] then
      numbers[code] = numbers[code] + 1
    elseif #codes < MOST_CODES then
      codes[#codes + 1], numbers[code] = code, 1
    else
      others = others + 1
    end
  end
  for place, code in ipairs(codes) do
    codes[place] = code .. ' ' .. numbers[code]
  end
  codes[#codes + 1] = others > 0 and 'others ' .. others or nil
  return table.concat(codes, ', ')
end

-- Decide once all rows of a job's canary have ended: its other shards are given out, or the job pauses, where a row
-- failed or more than a tenth had drifted. Where no shard is left, there is nothing to pause.
-- Of the job's hash, `canary` is `running`, `passed`, `failed` or `overruled` (absent: there is none), `canary_rows` and
-- `canary_shards` how many there are.
local function judge_canary(job, outcomes, details, log, who, is_any_left)
  local canary = redis.call('HMGET', job, 'canary', 'canary_rows')
  if canary[1] ~= 'running' then
    return
  end
  local ended = redis.call('GETRANGE', outcomes, 0, canary[2] - 1)
  if string.find(ended, '%z') then
    return
  end
  local failed, drifted, faults = {}, 0, {}
  for row = 0, #ended - 1 do
    local outcome = OUTCOMES[string.byte(ended, row + 1)]
    if outcome == 'failed' then
      failed[#failed + 1] = row
    elseif outcome == 'drifted' then
      drifted = drifted + 1
    end
  end
  if #failed > 0 then
    faults[#faults + 1] = #failed .. ' failed (' .. codes_of(details, failed) .. ')'
  end
  if drifted * 10 > #ended then
    faults[#faults + 1] = drifted .. ' had drifted, more than 10 %'
  end
  redis.call('HSET', job, 'canary', #faults > 0 and 'failed' or 'passed')
  if #faults == 0 then
    audit_event(job, log, who, 'canary', 'passed: ' .. #ended .. ' rows, ' .. drifted .. ' of them drifted')
    return
  end
  local reason = 'of ' .. #ended .. ' canary rows ' .. table.concat(faults, ' and ')
  if not is_any_left then
    audit_event(job, log, who, 'canary', 'failed: ' .. reason)
    return
  end
  redis.call('HSET', job, 'state', 'paused', 'reason_code', 'canary_failed', 'reason', reason, 'paused_at', timestamp())
  audit_event(job, log, who, 'pause', reason)
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
-- again, and a renewal may come behind a settlement that was sent later: only what was not counted before is added.
local function count_traffic(counts, pace, shard, owner, sums)
  local known = redis.call('HGET', pace, 'counted:' .. shard)
  local counted = { string.match(known or '', '^(%S+) (%d+) (%d+) (%d+)$') }
  for i, name in ipairs({ 'requests', 'retries', 'throttled' }) do
    local before = counted[1] == owner and tonumber(counted[i + 1]) or 0
    local more = sums[i] - before
    if more > 0 then
      redis.call('HINCRBY', counts, name, more)
    end
    sums[i] = before + math.max(0, more)
  end
  redis.call('HSET', pace, 'counted:' .. shard, owner .. ' ' .. table.concat(sums, ' '))
end

-- A job's series (`ledger.series`): how its counters rose over its life. HEAD is the seconds of a point, when the first
-- one began (0 where that is not known), and the rows, requests and throttled requests that were recorded so far. A
-- point is its time in units of its seconds, what came in that time of the same three, and the rate in force last.
local HEAD, POINT, HEAD_BYTES, POINT_BYTES = '>I4dI4I4I4', '>I4I4I4I4f', 24, 20
local MOST_POINTS, THINNED_POINTS, POINT_S = 500, 300, 5

local function begin_series(series, rows) -- where no worker carries out so many of the rows
  redis.call('SET', series, struct.pack(HEAD, POINT_S, 0, rows, 0, 0))
end

-- Merge points with their neighbours, so that each is of twice the seconds, until few enough are left.
-- Returns the points, packed, and the seconds of each.
local function thin_series(packed, width)
  local points = {}
  for at = 1, #packed, POINT_BYTES do
    points[#points + 1] = { struct.unpack(POINT, packed, at) }
  end
  repeat
    local merged = {}
    for _, point in ipairs(points) do
      point[1] = math.floor(point[1] / 2)
      local last = merged[#merged]
      if last and last[1] == point[1] then
        last[2], last[3], last[4], last[5] = last[2] + point[2], last[3] + point[3], last[4] + point[4], point[5]
      else
        merged[#merged + 1] = point
      end
    end
    points, width = merged, 2 * width
  until #points <= THINNED_POINTS
  for i, point in ipairs(points) do
    points[i] = struct.pack(POINT, unpack(point, 1, 5))
  end
  return table.concat(points), width
end

-- Record in a job's series how far its counters have come since that was recorded last, whoever did. So nothing counts
-- twice, and a worker that died takes nothing along. A time before the last point, after the clock was set back, is
-- taken for that of the point. `rate` is the one in force (requests a minute), nil where the caller knows none. A job
-- of an earlier release has no series, and gets none.
local function record_pace(counts, series, rate)
  local head = redis.call('GETRANGE', series, 0, HEAD_BYTES - 1)
  if #head < HEAD_BYTES then
    return
  end
  local width, began, rows, requests, throttled = struct.unpack(HEAD, head)
  local counted = redis.call('HMGET', counts, 'requests', 'throttled', unpack(TRIED))
  local rows_now = 0
  for i = 3, #counted do
    rows_now = rows_now + (counted[i] or 0)
  end
  local more = { rows_now - rows, (counted[1] or 0) - requests, (counted[2] or 0) - throttled }
  for i = 1, 3 do
    more[i] = math.max(0, more[i])
  end
  local grew = more[1] + more[2] + more[3] > 0
  local ends, time = redis.call('STRLEN', series), now()
  local last = ends > HEAD_BYTES and { struct.unpack(POINT, redis.call('GETRANGE', series, -POINT_BYTES, -1)) }
  local known = last and last[5] or 0
  rate = rate and struct.unpack('>f', struct.pack('>f', rate)) or known
  if last and not grew and rate == known then
    return
  end
  local point = { math.floor(time / width), 0, 0, 0 }
  if last and point[1] <= last[1] then
    point, ends = last, ends - POINT_BYTES
  end
  for i = 1, 3 do
    point[i + 1] = point[i + 1] + more[i]
  end
  if not last and not grew then
    began = time
  end
  redis.call('SETRANGE', series, ends, struct.pack(POINT, point[1], point[2], point[3], point[4], rate))
  if ends >= HEAD_BYTES + MOST_POINTS * POINT_BYTES then
    local packed
    packed, width = thin_series(redis.call('GETRANGE', series, HEAD_BYTES, -1), width)
    redis.call('SET', series, struct.pack(HEAD, width, began, 0, 0, 0) .. packed, 'KEEPTTL')
  end
  redis.call('SETRANGE', series, 0, struct.pack(HEAD, width, began, rows + more[1], requests + more[2], throttled + more[3]))
end
