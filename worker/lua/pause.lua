-- Let every worker on this limit wait together: as long as the server said, else longer each time.
-- KEYS: 1 limit
-- ARGV: 1 seconds that the server asks for ('' where it did not say), 2 first pause (seconds), 3 longest (seconds)
-- Returns: microseconds that the shared pause now lasts
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local set = redis.call('HMGET', KEYS[1], 'pause_until', 'pauses')
local pause_until, pauses = tonumber(set[1] or '0'), tonumber(set[2] or '0')
local till
if ARGV[1] ~= '' then
  till = now + tonumber(ARGV[1])
elseif pause_until > now then
  till = pause_until -- requests that were under way when the pause began are one event, not many
else
  if now - pause_until > 30 then
    pauses = 0 -- half a minute of quiet: start from the short end again
  end
  pauses = pauses + 1
  till = now + math.min(tonumber(ARGV[2]) * 2 ^ (pauses - 1), tonumber(ARGV[3]))
end
till = math.max(till, pause_until)
redis.call('HSET', KEYS[1], 'pause_until', string.format('%.6f', till), 'pauses', pauses,
  'pause_code', 'rate_limited')
redis.call('PEXPIRE', KEYS[1], 604800000)
return math.ceil((till - now) * 1000000)
