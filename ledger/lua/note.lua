#!lua flags=allow-oom
-- Append an entry to a job's audit log, also to one that begins after the job's end.
-- KEYS: 1 job, 2 audit log
-- ARGV: 1 entry (JSON without the time)
-- Returns: entries of the log; 0 where the job is gone
return audit(KEYS[1], KEYS[2], ARGV[1])
