#!lua flags=allow-oom
-- Record that a token is used, unless it was revoked meanwhile.
-- KEYS: 1 tokens, 2 their uses
-- ARGV: 1 the token's hash
-- Returns: 1; 0 where there is no such token
local life = redis.call('PTTL', KEYS[1])
if life < 0 or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[1], timestamp())
redis.call('PEXPIRE', KEYS[2], life)
return 1
