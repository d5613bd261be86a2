#!lua flags=no-writes
-- Read keys at one moment. A script, as Redis 7 refuses a transaction at its memory limit, even one that only reads.
-- KEYS: the keys to read
-- ARGV: for each key the command that reads it, with what follows the key: `HGETALL`, `ZRANGE 0 0`
-- Returns: list: the answers, then the time (text: seconds since the epoch)
local answers = {}
for i, key in ipairs(KEYS) do
  local words = {}
  for word in string.gmatch(ARGV[i], '%S+') do
    words[#words + 1] = word
  end
  answers[i] = redis.call(words[1], key, unpack(words, 2))
end
answers[#answers + 1] = timestamp()
return answers
