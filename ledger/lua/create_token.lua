-- Keep a new token, unless a valid one has its name, and forget those that have expired.
-- KEYS: 1 tokens, 2 their uses
-- ARGV: 1 the token's hash, 2 its record (JSON without its times), 3 its name, 4 its life (seconds), 5 most tokens
-- Returns: the record (JSON); -1 where a valid token has the name, -2 where there are too many
local now = now()
local last, number = now + ARGV[4], 0
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
  local readable, token = pcall(cjson.decode, kept[i + 1])
  if not readable or type(token) ~= 'table' or (tonumber(token.expires_at) or 0) <= now then
    redis.call('HDEL', KEYS[1], kept[i])
    redis.call('HDEL', KEYS[2], kept[i])
  elseif token.name == ARGV[3] then
    return -1
  else
    number = number + 1
    last = math.max(last, token.expires_at)
  end
end
if number >= tonumber(ARGV[5]) then
  return -2
end
local times = string.format('{"created_at":%.3f,"expires_at":%.3f,', now, now + ARGV[4])
local record = times .. string.sub(ARGV[2], 2)
redis.call('HSET', KEYS[1], ARGV[1], record)
local life = math.ceil((last - now) * 1000)
redis.call('PEXPIRE', KEYS[1], life)
redis.call('PEXPIRE', KEYS[2], life)
return record
