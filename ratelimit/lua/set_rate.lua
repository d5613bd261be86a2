#!lua flags=allow-oom
-- Set the shared rate live or go back to the settings, and forget what self-correction learned.
-- Each job that it concerns gets an entry in its audit log.
-- KEYS: 1 limit, then a job and its audit log, for each job
-- ARGV: 1 rate (requests a second), 2 burst ('' leaves either as it is; both '': back to the settings), 3 life
--       (milliseconds), 4 audit entry (JSON without the time)
-- Returns: 1
for i = 2, #KEYS, 2 do
  audit(KEYS[i], KEYS[i + 1], ARGV[4])
end
redis.call('HDEL', KEYS[1], 'ceiling', 'share', 'risen', 'told', 'told_until')
if ARGV[1] == '' and ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], 'rate', 'burst')
  return 1
end
for i, field in ipairs({ 'rate', 'burst' }) do
  if ARGV[i] ~= '' then
    redis.call('HSET', KEYS[1], field, ARGV[i])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
