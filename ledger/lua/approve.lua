-- Approve a job that needs it, for the digest that it was shown with. Where it is held for nothing else, it runs then.
-- KEYS: 1 job, 2 audit log
-- ARGV: 1 digest, 2 identity of who approves, 3 who approves as logs name them
-- Returns: 'approved', 'already' (somebody did before), or why not: 'gone', 'not_needed', 'other_digest', 'own_job' (who
--          approves has submitted it), 'wrong_state' (it is not held)
local job = redis.call('HMGET', KEYS[1], 'state', 'needs_approval', 'approval_digest', 'submitter', 'reason_code')
if not job[1] then
  return 'gone'
end
if not job[2] then
  return 'not_needed'
end
if job[3] ~= ARGV[1] then
  return 'other_digest'
end
if job[4] == ARGV[2] then
  return 'own_job'
end
if not lacks_approval(KEYS[1]) then
  return 'already'
end
if job[1] ~= 'held' then
  return 'wrong_state'
end
redis.call('HSET', KEYS[1], 'approved_digest', ARGV[1], 'approved_by', ARGV[3], 'approved_at', timestamp())
audit_event(KEYS[1], KEYS[2], ARGV[3], 'approve', job[2] .. '; digest ' .. ARGV[1])
if job[5] == 'needs_approval' then
  redis.call('HDEL', KEYS[1], 'reason', 'reason_code')
  redis.call('HSET', KEYS[1], 'state', 'running', 'running_at', timestamp())
end
return 'approved'
