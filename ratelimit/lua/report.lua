-- Update the circuit breaker of an endpoint: when most requests fail, pause every worker, longer each time, then probe.
-- KEYS: 1 health, 2 limit
-- ARGV: 1 reads that succeeded, 2 reads that failed, 3 writes that succeeded, 4 writes that failed (since the last
--       report), 5 window (seconds), 6 least failures, 7 share of failures, 8 first pause (seconds), 9 longest pause,
--       10 seconds after a success for which the endpoint counts as well, 11 longest outage that fails no row (seconds)
-- Fields of health, for kind read and write: {kind}_ok and {kind}_bad (numbers in the window), {kind}_good_at (last
--       success), {kind}_since (first failure after it); at (start of the window), opens, opened_at
-- Returns: list: 1 whether failed reads are the row's fault (1) or the endpoint's (0), 2 the same for writes
local now = now()
local window, least, share = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local health = {}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  health[flat[i]] = tonumber(flat[i + 1])
end
if now - (health.at or 0) > window then
  -- the window starts anew with half of what was in it, so that a storm is not forgotten at its edge
  for _, field in ipairs({ 'read_ok', 'read_bad', 'write_ok', 'write_bad' }) do
    health[field] = now - (health.at or 0) > 2 * window and 0 or math.floor((health[field] or 0) / 2)
  end
  health.at = now
end

local storm, verdict = false, {}
local fresh = { read = { tonumber(ARGV[1]), tonumber(ARGV[2]) }, write = { tonumber(ARGV[3]), tonumber(ARGV[4]) } }
for i, kind in ipairs({ 'read', 'write' }) do
  local good, bad = fresh[kind][1], fresh[kind][2]
  local ok_all, bad_all = (health[kind .. '_ok'] or 0) + good, (health[kind .. '_bad'] or 0) + bad
  health[kind .. '_ok'], health[kind .. '_bad'] = ok_all, bad_all
  if good > 0 then
    health[kind .. '_good_at'], health[kind .. '_since'] = now, 0
  end
  if bad > 0 and (health[kind .. '_since'] or 0) == 0 then
    health[kind .. '_since'] = now
  end
  local stormy = bad_all >= least and bad_all >= share * (ok_all + bad_all)
  storm = storm or (stormy and bad > 0)
  local calm = not stormy and now - (health.opened_at or 0) > window
  local well = calm and now - (health[kind .. '_good_at'] or 0) < tonumber(ARGV[10])
  local since = health[kind .. '_since'] or 0
  verdict[i] = (well or (since > 0 and now - since > tonumber(ARGV[11]))) and 1 or 0
end

local limit = redis.call('HMGET', KEYS[2], 'pause_until', 'probing')
local pause_until, probing = tonumber(limit[1] or '0'), limit[2] == '1'
local failed = fresh.read[2] + fresh.write[2]
if pause_until <= now and (storm or (probing and failed > 0)) then
  health.opens = (health.opens or 0) + 1
  health.opened_at = now
  local pause = math.min(tonumber(ARGV[8]) * 2 ^ (health.opens - 1), tonumber(ARGV[9]))
  redis.call('HSET', KEYS[2], 'pause_until', string.format('%.6f', now + pause), 'pause_code', 'failing', 'probing', '1')
  redis.call('HINCRBYFLOAT', KEYS[2], 'paused_s:failing', pause)
  redis.call('PEXPIRE', KEYS[2], 604800000)
elseif probing and failed == 0 and fresh.read[1] + fresh.write[1] > 0 then
  redis.call('HDEL', KEYS[2], 'probing')
  health.opens = 0
  for _, field in ipairs({ 'read_ok', 'read_bad', 'write_ok', 'write_bad' }) do
    health[field] = 0
  end
end
for field, value in pairs(health) do
  redis.call('HSET', KEYS[1], field, string.format('%.6f', value))
end
redis.call('PEXPIRE', KEYS[1], 86400000)
return verdict
