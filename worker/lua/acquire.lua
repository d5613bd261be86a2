-- Lease the next free slots of the shared rate, and of the job's own where it has one (GCRA, reserving ahead).
-- KEYS: 1 limit, 2 limit of the job (only where the job has its own rate)
-- ARGV: 1 slots wanted, 2 horizon (seconds: how far ahead slots are given), 3 rate (requests a second), 4 burst,
--       5 rate of the job, 6 burst of the job (5 and 6 only with KEYS 2)
-- Fields of a limit: tat (when the next slot is free), rate and burst (set live; they go before ARGV), pause_until,
--                    pause_code, probing (1 after a storm, until a request succeeds: one request a second)
-- Returns: list: 1 microseconds until it is worth asking again (0 where slots were given), 2 microseconds that
--          the shared pause still lasts, 3 why ('' where it does not), then for each slot the microseconds from now
--          on until it may be used
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local horizon = now + tonumber(ARGV[2])

local function limit_of(key, rate, burst)
  local set = redis.call('HMGET', key, 'tat', 'rate', 'burst', 'pause_until', 'pause_code', 'probing')
  local per_second, most_at_once = tonumber(set[2] or rate), tonumber(set[3] or burst)
  if set[6] == '1' then
    per_second, most_at_once = math.min(per_second, 1), 1
  end
  return {
    key = key,
    interval = 1 / per_second,
    tolerance = (most_at_once - 1) / per_second,
    tat = tonumber(set[1] or '0'),
    pause = tonumber(set[4] or '0'),
    code = set[5] or '',
    most = math.max(1, math.floor(per_second * 0.1)),
  }
end

local limits = { limit_of(KEYS[1], ARGV[3], ARGV[4]) }
if KEYS[2] then
  limits[2] = limit_of(KEYS[2], ARGV[5], ARGV[6])
end
local start, wanted = math.max(now, limits[1].pause), tonumber(ARGV[1])
for _, limit in ipairs(limits) do
  wanted = math.min(wanted, limit.most)
end

local paused = math.max(0, math.ceil((limits[1].pause - now) * 1000000))
local answer = { 0, paused, paused > 0 and limits[1].code or '' }
for _ = 1, wanted do
  local at = start
  for _, limit in ipairs(limits) do
    at = math.max(at, limit.tat - limit.tolerance)
  end
  if at > horizon then
    if #answer == 3 then
      answer[1] = math.ceil((at - horizon) * 1000000)
    end
    break
  end
  for _, limit in ipairs(limits) do
    limit.tat = math.max(at, limit.tat) + limit.interval
  end
  answer[#answer + 1] = math.max(0, math.ceil((at - now) * 1000000))
end
if #answer > 3 then
  for _, limit in ipairs(limits) do
    redis.call('HSET', limit.key, 'tat', string.format('%.6f', limit.tat))
    redis.call('PEXPIRE', limit.key, 604800000)
  end
end
return answer
