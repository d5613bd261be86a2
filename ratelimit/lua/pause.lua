-- Pause every worker on this limit after a 429 and lower the shared rate, once for all requests that were in flight at
-- the time.
-- KEYS: 1 limit
-- ARGV: 1 seconds that the server asks for ('' where it did not say), 2 first pause (seconds), 3 longest (seconds),
--       4 seconds since the refused request was sent
-- Fields written: pause_until, pause_code, pauses (in a row), refused_until (end of the pause of the last 429),
--                 paused_for (its seconds), ceiling (just below the rate at which the 429 came), share (of it that is
--                 used at once), risen (seconds for which the rate has been used since; acquire.lua makes the rate of
--                 these three), paused_s:rate_limited (seconds paused in all, as in acquire.lua and report.lua)
-- Returns: microseconds that the shared pause now lasts
local SOON = 2 -- seconds after a pause within which a request that is refused makes the next pause longer
local LEAST, MOST = 0.35, 0.9 -- share of the rate after a 429: the least also after one out of the blue, as it may have
                              -- risen to a multiple of the limit by then
local BELOW = 0.95 -- of the rate at which a 429 came: where the rate lingers on its way up
local NEAR = 0.15  -- the limit is taken for known where two 429s came at rates that differ by less
local KEEP, KEEP_LIVE = 604800000, 31622400000 -- milliseconds: a week; a year where somebody set the rate

local now = now()
local set, names = {}, { 'pause_until', 'pauses', 'refused_until', 'paused_for', 'learned', 'ceiling', 'risen', 'rate',
  'burst' }
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
  set[names[i]] = value
end
local number = function(name) return tonumber(set[name] or '0') end
local pause_until, refused_until = number('pause_until'), number('refused_until')
local sent = now - tonumber(ARGV[4])
local news = sent >= refused_until

local pauses = number('pauses')
if news then
  pauses = sent - refused_until < SOON and pauses + 1 or 1
  if number('learned') > 0 then
    local rate, share = number('learned'), LEAST
    local last = number('ceiling') / BELOW
    if last > 0 and math.abs(rate / last - 1) < NEAR then
      -- the limit is just there: a 429 below the last one may be chance, requests that met on their way
      rate, share = math.max(rate, (rate + last) / 2), MOST * rate / math.max(rate, (rate + last) / 2)
    elseif last > 0 then
      -- what was sent since the last 429 is what the server let through in that time, the pause included
      share = number('risen') / (number('risen') + number('paused_for'))
      share = math.max(LEAST, math.min(share, MOST))
    end
    redis.call('HSET', KEYS[1], 'ceiling', BELOW * rate, 'share', share, 'risen', 0)
  end
end
local till = refused_until
if ARGV[1] ~= '' then
  till = now + tonumber(ARGV[1])
elseif news then
  till = now + math.min(tonumber(ARGV[2]) * 2 ^ math.min(pauses - 1, 30), tonumber(ARGV[3]))
end
refused_until = math.max(till, refused_until)
if refused_until > pause_until then
  redis.call('HINCRBYFLOAT', KEYS[1], 'paused_s:rate_limited', math.max(0, refused_until - math.max(now, pause_until)))
  pause_until = refused_until
  redis.call('HSET', KEYS[1], 'pause_until', string.format('%.6f', pause_until), 'pause_code', 'rate_limited')
end
redis.call('HSET', KEYS[1], 'refused_until', string.format('%.6f', refused_until), 'pauses', pauses)
if news then
  redis.call('HSET', KEYS[1], 'paused_for', refused_until - now)
end
redis.call('PEXPIRE', KEYS[1], (set.rate or set.burst) and KEEP_LIVE or KEEP)
return math.max(0, math.ceil((pause_until - now) * 1000000))
