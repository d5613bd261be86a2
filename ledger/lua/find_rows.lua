#!lua flags=no-writes
-- Find the rows of a completion in the indexes of several jobs, each by a binary search. An entry of an index is the
-- 8-byte hash of an id and the 4-byte number of its row, big-endian; entries are sorted.
-- KEYS: an index for each job
-- ARGV: 1 hash
-- Returns: list: for each index with such rows, or that is not there, a list: its place among KEYS, and the row numbers
--          with this hash, 16 at most; -1 in their place where there is no index
local ENTRY, MOST = 12, 16
local high, low = struct.unpack('>I4I4', ARGV[1])

-- Halves of four bytes are compared as numbers: Lua compares texts by the server's locale.
local function is_before(key, place) -- whether the entry's hash is less than the one that is looked for
  local a, b = struct.unpack('>I4I4', redis.call('GETRANGE', key, place * ENTRY, place * ENTRY + 7))
  return a < high or (a == high and b < low)
end

local function add_rows(found, key)
  local size = redis.call('STRLEN', key)
  if size == 0 then
    found[#found + 1] = -1
    return
  end
  local first, past = 0, math.floor(size / ENTRY)
  while first < past do
    local middle = math.floor((first + past) / 2)
    if is_before(key, middle) then
      first = middle + 1
    else
      past = middle
    end
  end
  local entries = redis.call('GETRANGE', key, first * ENTRY, (first + MOST) * ENTRY - 1)
  for at = 1, #entries - ENTRY + 1, ENTRY do
    if string.sub(entries, at, at + 7) ~= ARGV[1] then
      break
    end
    found[#found + 1] = (struct.unpack('>I4', entries, at + 8))
  end
end

local found = {}
for i, key in ipairs(KEYS) do
  local rows = { i }
  add_rows(rows, key)
  if #rows > 1 then
    found[#found + 1] = rows
  end
end
return found
