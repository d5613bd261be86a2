-- Let workers run a paused or held job, or read the list for one of a selection that was paused before it was read.
-- Whoever resumes a paused one knows of its first failures by now, and of its canary where that failed: the other shards
-- are then given out. A job that lacks the approval that it needs stays held, for that reason from then on.
-- KEYS: 1 job, 2 waiting, 3 announced, 4 leased, 5 pace, 6 outcomes, 7 audit log, 8 counts
-- ARGV: 1 who resumes it
-- Returns: the state that the job had, '' where there is no such job; 'needs_approval' where it is held for that alone
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return ''
end
if state ~= 'paused' and state ~= 'held' then
  return state
end
local why = redis.call('HMGET', KEYS[1], 'reason_code', 'reason')
local lacks = lacks_approval(KEYS[1])
if lacks and why[1] == 'needs_approval' then
  return 'needs_approval'
end
local was = 'was ' .. state .. (why[1] and ', ' .. why[1] .. ': ' .. (why[2] or '') or '')
if lacks then
  redis.call('HSET', KEYS[1], 'state', 'held', 'held_at', timestamp(), 'reason_code', 'needs_approval',
    'reason', redis.call('HGET', KEYS[1], 'needs_approval'))
  audit_event(KEYS[1], KEYS[7], ARGV[1], 'resume', was .. '; held until it is approved')
  return state
end
if state == 'paused' then
  redis.call('HDEL', KEYS[1], 'same_after', 'same_rows', 'same_code')
end
if redis.call('HGET', KEYS[1], 'canary') == 'failed' then
  redis.call('HSET', KEYS[1], 'canary', 'overruled')
end
redis.call('HDEL', KEYS[1], 'reason', 'reason_code')
audit_event(KEYS[1], KEYS[7], ARGV[1], 'resume', was .. '; rows: ' .. counted(KEYS[8]))
if redis.call('HEXISTS', KEYS[1], 'reading') == 1 then
  redis.call('HSET', KEYS[1], 'state', 'submitting', 'reading', 0, 'read_at', timestamp())
  redis.call('HDEL', KEYS[1], 'called_at')
  return state
end
-- the time in which it did not run says nothing of its pace
redis.call('HDEL', KEYS[5], 'before_at', 'before_rows', 'mark_at', 'mark_rows')
local shards = redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4])
local outcomes = shards == 0 and redis.call('GET', KEYS[6])
if not outcomes or string.find(outcomes, '%z') then
  redis.call('HSET', KEYS[1], 'state', 'running', 'running_at', timestamp())
else
  finish(KEYS[1], 'finished')
  audit_event(KEYS[1], KEYS[7], ARGV[1], 'finished', counted(KEYS[8]))
end
return state
