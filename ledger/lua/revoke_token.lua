#!lua flags=allow-oom
-- Forget the token of a name, so that it is not valid any more.
-- KEYS: 1 tokens, 2 their uses
-- ARGV: 1 name
-- Returns: 1; 0 where there is no such token
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
  local readable, token = pcall(cjson.decode, kept[i + 1])
  if readable and type(token) == 'table' and token.name == ARGV[1] then
    redis.call('HDEL', KEYS[1], kept[i])
    redis.call('HDEL', KEYS[2], kept[i])
    return (tonumber(token.expires_at) or 0) > now() and 1 or 0
  end
end
return 0
