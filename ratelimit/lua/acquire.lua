-- Lease the next free slots of the shared rate, and of the job's own where it has one (GCRA, reserving ahead).
-- KEYS: 1 limit, 2 rates that workers ask for, 3 limit of the job, 4 job (3 and 4 only where there is a job; its own rate
--       is read from 4 each time)
-- ARGV: 1 slots wanted (0: only read), 2 horizon (seconds: how far ahead slots are given), 3 rate (requests a second),
--       4 burst, 5 requests that the API said are left ('' where it did not say), 6 seconds until they are renewed,
--       7 longest pause for want of requests (seconds), 8 whether the caller is a worker, whose rate counts (1; 0: not),
--       9 whether the slots are for work in the background (1; 0: not), which a job's goes before, 10 answers other than
--       429 that came to the caller since it asked last
-- Fields of a limit: tat (when the next slot is free), rate and burst (set live; they go before ARGV), pause_until,
--                    pause_code, probing (1 after a storm, until a request succeeds: one request a second),
--                    ceiling, share, risen (see pause.lua: slowed down by a 429), learned (the rate that a 429 would
--                    slow down), proved (answers that came while the rate was used, with which it rises: see BEGIN),
--                    told and told_until (rate that the API's headers allow), used_at, used, used_before (slots of this
--                    window and of the one before), paused_s:used_up (seconds paused in all), job_at (when a job wanted
--                    slots last), tat_background (tat of work in the background), background and background_before (its
--                    part of used and used_before), slowed_at (since when it is slowed down)
-- Workers that are set to different rates: the lowest that a living one asks for holds for all of them.
-- Work in the background gets no more than a tenth of the rate in force while a job wants slots.
-- Returns: list: 1 microseconds until it is worth asking again (0 where slots were given), 2 microseconds that
--          the shared pause still lasts, 3 why ('' where it does not), 4 shared rate in force (requests a second, as
--          text), 5 the rate that was asked for (the same), 6 why it is slowed down ('' where it is not), 7 slots used in the
--          last 5 s (thousandths), 8 rates that living workers ask for (requests a second, parted by blanks), 9 the rate
--          that work in the background may have now (as 4), 10 slots that it used in the last 5 s (thousandths), then
--          11 the microseconds from now on until each slot may be used, parted by blanks: one text is read in a fraction of
--          the time that as many numbers are
local STEEPNESS = 3e-5 -- of the rise: a tenth below the ceiling is made up in 15 s, the tenfold takes 67 s more
local LEAST = 0.05     -- requests a second: the smallest limit known, 3 a minute (OpenAI's free tier)
local FORGET = 600     -- seconds without a request after which an old 429 says nothing any more
local SMOOTH = 0.02    -- seconds' worth of slots that may go at once while slowed down: the server may count closely
local BEGIN = 200      -- requests a second that a limit is given which nobody tried,
local GROWTH = 6       -- and so many more with each answer that is no 429: it doubles within 0.2 s, and more slowly where
                       -- answers are slow, so that few requests are under way when the first 429 comes (RFC 5681)
local FAST = 2000      -- requests a second from which on each answer counts, used or not: workers reach their own bounds
                       -- there, and to space each request would cost a fifth of a row
local CAUTIOUS, CLOSE = 0.02, 0.06 -- seconds: the horizon below which slots are given while a 429 is likely, at first
                       -- and later, as those that were given would be refused, too
local ALIVE = 15       -- seconds for which a rate counts that a worker asked for, as its heartbeat does
local WINDOW = 5       -- seconds of the window that tells how much is used
local SHARE = 0.1      -- of the rate in force that work in the background gets beside a job
local RUNS = 10        -- seconds for which a job counts that wanted slots: its requests may take long
local KEEP, KEEP_LIVE = 604800000, 31622400000 -- milliseconds: a week; a year where somebody set the rate

local now = now()
local ahead = tonumber(ARGV[2])

-- the rate climbs back fast, lingers where the last 429 came, then climbs ever faster (CUBIC, RFC 9438)
local function risen_to(ceiling, share, risen)
  local back = ((1 - share) / STEEPNESS) ^ (1 / 3)
  return math.max(LEAST, ceiling * (1 + STEEPNESS * (risen - back) ^ 3))
end

local function limit_of(key, field, tat, per_second, most_at_once)
  local interval, tolerance = 1 / per_second, (most_at_once - 1) / per_second
  return {
    key = key,
    field = field,
    interval = interval,
    tolerance = tolerance,
    -- no further ahead than this rate can get: one that was far lower until now must not hold back the next slots
    tat = math.min(tonumber(tat or '0'), now + ahead + tolerance + interval),
    most = math.max(1, math.floor(per_second * 0.1)),
  }
end

local set, names = {}, { 'tat', 'rate', 'burst', 'pause_until', 'pause_code', 'probing', 'ceiling', 'share', 'risen',
  'proved', 'told', 'told_until', 'used_at', 'used', 'used_before', 'job_at', 'tat_background', 'background',
  'background_before', 'slowed_at' }
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
  set[names[i]] = value
end
local number = function(name) return tonumber(set[name] or '0') end
local change, live = {}, set.rate or set.burst
if ARGV[8] == '1' then
  local own = ARGV[3] .. '|' .. ARGV[4]
  if now - tonumber(redis.call('ZSCORE', KEYS[2], own) or '0') > 1 then
    redis.call('ZADD', KEYS[2], now, own)
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ALIVE)
    redis.call('PEXPIRE', KEYS[2], 4000 * ALIVE)
  end
end
local wanted, burst, rates = nil, nil, {}
for _, asked in ipairs(redis.call('ZRANGE', KEYS[2], now - ALIVE, '+inf', 'BYSCORE')) do
  local at = string.find(asked, '|', 1, true)
  local its_rate, its_burst = tonumber(string.sub(asked, 1, at - 1)), tonumber(string.sub(asked, at + 1))
  rates[#rates + 1] = string.sub(asked, 1, at - 1)
  if not wanted or its_rate < wanted or (its_rate == wanted and its_burst < burst) then
    wanted, burst = its_rate, its_burst
  end
end
wanted, burst = tonumber(set.rate) or wanted or tonumber(ARGV[3]), tonumber(set.burst) or burst or tonumber(ARGV[4])
local rate, slowed_by = wanted, ''
local pause_until, pause_code = number('pause_until'), set.pause_code or ''

if set.ceiling then
  local slower = risen_to(number('ceiling'), number('share'), number('risen'))
  local is_forgotten = now - number('tat') >= FORGET
  if slower < wanted and not is_forgotten then
    rate, slowed_by = slower, '429'
  else
    change.ceiling = false
  end
  if is_forgotten then
    set.proved, change.proved = '0', '0'
  end
end
local proved = number('proved') + tonumber(ARGV[10])
local tried = math.max(BEGIN, GROWTH * proved)
local learned, paused_more = math.min(rate, tried), 0
if ARGV[5] ~= '' then
  local left, renewed_in = tonumber(ARGV[5]), tonumber(ARGV[6])
  if left >= 1 then
    set.told, set.told_until = left / renewed_in, now + renewed_in
  elseif now + renewed_in > pause_until then
    local paused_until = now + math.min(renewed_in, tonumber(ARGV[7]))
    paused_more = math.max(0, paused_until - math.max(now, pause_until))
    pause_until, pause_code = paused_until, 'used_up'
    change.pause_until, change.pause_code = string.format('%.6f', pause_until), pause_code
  end
  change.told, change.told_until = set.told, set.told_until and string.format('%.6f', set.told_until)
end
if number('told_until') > now and number('told') < rate then
  rate, slowed_by = number('told'), 'headers'
end
local paced = math.min(rate, tried)
if slowed_by ~= '' or paced < rate then
  burst = math.min(burst, math.max(1, math.floor(paced * SMOOTH)))
  ahead = math.min(ahead, slowed_by ~= '' and CLOSE or CAUTIOUS)
end
if set.probing == '1' then
  rate, burst, slowed_by = math.min(rate, 1), 1, 'failing'
  paced = rate
end

if slowed_by ~= '' then
  change.slowed_at = set.slowed_at or string.format('%.6f', now)
elseif set.slowed_at then
  change.slowed_at = false
end

local start, want = math.max(now, pause_until), tonumber(ARGV[1])
local in_background = ARGV[9] == '1'
if KEYS[4] and want > 0 then
  change.job_at = string.format('%.6f', now)
end
local share = rate
if now - number('job_at') < RUNS then
  share = rate * SHARE
end

local limits = { limit_of(KEYS[1], 'tat', set.tat, paced, burst) }
local own = KEYS[4] and redis.call('HGET', KEYS[4], 'rate_per_minute')
if own then
  local per_second, tat = tonumber(own) / 60, redis.call('HGET', KEYS[3], 'tat')
  limits[2] = limit_of(KEYS[3], 'tat', tat, per_second, math.max(1, math.floor(per_second / 10)))
end
if in_background and share < rate then
  limits[#limits + 1] = limit_of(KEYS[1], 'tat_background', set.tat_background, share, 1)
end
for _, limit in ipairs(limits) do
  want = math.min(want, limit.most)
end

local elapsed = now - number('used_at')
if elapsed > WINDOW then
  local is_next = elapsed < 2 * WINDOW
  set.used_before, set.used, set.used_at = is_next and set.used or '0', '0', now
  set.background_before, set.background = is_next and set.background or '0', '0'
  elapsed = 0
end
local used = number('used') + number('used_before') * (1 - elapsed / WINDOW)
local background = number('background') + number('background_before') * (1 - elapsed / WINDOW)
local paused = math.max(0, math.ceil((pause_until - now) * 1000000))
local answer = { 0, paused, paused > 0 and pause_code or '', string.format('%.17g', rate),
  string.format('%.17g', wanted), slowed_by, math.floor(used * 1000), table.concat(rates, ' '),
  string.format('%.17g', share), math.floor(background * 1000) }
local given = {}
for _ = 1, want do
  local at = start
  for _, limit in ipairs(limits) do
    at = math.max(at, limit.tat - limit.tolerance)
  end
  if at > now + ahead then
    if #given == 0 then
      answer[1] = math.ceil((at - now - ahead) * 1000000)
    end
    break
  end
  for _, limit in ipairs(limits) do
    limit.tat = math.max(at, limit.tat) + limit.interval
  end
  given[#given + 1] = math.max(0, math.ceil((at - now) * 1000000))
end
answer[#answer + 1] = table.concat(given, ' ')
-- answers count at a rate that is used, all of it just now or half of it for a while (RFC 7661), or that nobody uses up
local is_used = limits[1].tat - limits[1].tolerance > now + ahead or used > tried * WINDOW / 2 or tried >= FAST
if is_used and number('proved') * GROWTH < wanted then
  change.proved = proved
end

local slots = #given
if slots > 0 then
  change.learned, change.used_before, change.used_at = learned, set.used_before or 0, string.format('%.6f', set.used_at)
  change.used = number('used') + slots
  change.background_before = set.background_before or 0
  change.background = number('background') + (in_background and slots or 0)
  if slowed_by ~= '' and set.ceiling then
    -- only time in which the rate was used counts: a rate that nobody tried has not proved itself
    change.risen = number('risen') + slots * limits[1].interval
  end
  for _, limit in ipairs(limits) do
    redis.call('HSET', limit.key, limit.field, string.format('%.6f', limit.tat))
    redis.call('PEXPIRE', limit.key, KEEP)
  end
end
if want > 0 then
  local fields = {}
  for field, value in pairs(change) do
    if value then
      fields[#fields + 1], fields[#fields + 2] = field, value
    else
      redis.call('HDEL', KEYS[1], field)
    end
  end
  if #fields > 0 then
    redis.call('HSET', KEYS[1], unpack(fields))
  end
  if paused_more > 0 then
    redis.call('HINCRBYFLOAT', KEYS[1], 'paused_s:used_up', paused_more)
  end
  redis.call('PEXPIRE', KEYS[1], live and KEEP_LIVE or KEEP)
end
return answer
