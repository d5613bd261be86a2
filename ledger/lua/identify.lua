#!lua flags=allow-oom
-- Give the ledger an identity where it has none. A ledger that has jobs exists since its oldest one: release one made
-- it, or its totals were lost. Jobs that another ledger lost say nothing of the age of this one.
-- KEYS: 1 totals, 2 jobs, 3 lost
-- ARGV: 1 generation to give it, 2 schema of what the caller writes
-- Returns: list of texts: 1 generation, 2 since when it exists (seconds since the epoch), 3 schema of what is in it
local generation, since, schema = unpack(redis.call('HMGET', KEYS[1], 'ledger:generation', 'ledger:since', 'ledger:schema'))
if not generation then
  local jobs = redis.call('ZRANGE', KEYS[2], 0, redis.call('ZCARD', KEYS[3]), 'WITHSCORES')
  for i = 1, #jobs, 2 do
    if not redis.call('ZSCORE', KEYS[3], 'job:' .. jobs[i]) then
      since = jobs[i + 1]
      break
    end
  end
  generation, since, schema = ARGV[1], since or timestamp(), ARGV[2]
  redis.call('HSET', KEYS[1], 'ledger:generation', generation, 'ledger:since', since, 'ledger:schema', schema)
elseif tonumber(schema) < tonumber(ARGV[2]) then
  schema = ARGV[2]
  redis.call('HSET', KEYS[1], 'ledger:schema', schema)
end
return { generation, since, schema }
