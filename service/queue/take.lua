#!lua flags=allow-oom
-- Takes deliveries that are due, and sets aside those that are not, as if in one moment.
--
-- KEYS  where deliveries are set aside; then the places to take from, the first before the others
-- ARGV  1  what the keys of payloads begin with
--       2  scores below this that lie in the future are moments, in ms since 1970
--       3  how many entries to touch at most
--       4  how many deliveries may be taken from the first place and all behind it, and so on
--       then the number of a place, and the ids and scores of what was just popped from it
--
-- Returns the ms until something set aside is due, or -1; whether there may be more to take; the
-- keys that hold no sorted set; and of each delivery its place, id, score and payload.
--
-- Whatever is wrong with one key is found with `pcall`: an error would not undo what was popped.
local aside, prefix, ranks, most = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken, spoilt, touched, may_have_more = {}, {}, 0, 0

local function failed(answer)
  return type(answer) == 'table' and answer.err ~= nil
end

local function first_due()
  return tonumber(redis.pcall('ZRANGE', aside, 0, 0, 'WITHSCORES')[2])
end

local due = first_due()

local function put_back_due()
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', aside, '-inf', now, 'LIMIT', 0, most)) do
    local is_ours, parts = pcall(cjson.decode, entry)
    if is_ours and failed(redis.pcall('ZADD', parts[1], parts[2], parts[3])) then
      redis.call('ZADD', aside, now + 1000, entry)
    else
      redis.call('ZREM', aside, entry)
    end
  end
end

-- Returns how many slots it takes: none if it is not due, or there is no telling.
local function open(place, id, score)
  local at = tonumber(score) or 0
  touched = touched + 1
  if at > now and at < ranks then
    if failed(redis.pcall('ZADD', aside, at, cjson.encode({place, score, id}))) then
      redis.call('ZADD', place, score, id)
      spoilt[#spoilt + 1] = aside
      spoilt[#spoilt + 1] = place
      touched = most
      return 0
    end
    due = math.min(due or at, at)
    return 0
  end
  local payload = redis.pcall('GETDEL', prefix .. id)
  if type(payload) ~= 'string' then
    redis.call('DEL', prefix .. id)
    payload = false
  end
  taken[#taken + 1] = {place, id, score, payload}
  return 1
end

if due and due <= now then
  put_back_due()
  due = first_due()
end

local popped_from = #KEYS + 3
for number = popped_from + 1, #ARGV, 2 do
  open(KEYS[tonumber(ARGV[popped_from])], ARGV[number], ARGV[number + 1])
end

local allowed = most
for number = 2, #KEYS do
  local place = KEYS[number]
  allowed = math.min(allowed, tonumber(ARGV[number + 2]))
  while allowed > 0 and touched < most do
    local entries = redis.pcall('ZPOPMIN', place, math.min(allowed, most - touched))
    if failed(entries) then
      spoilt[#spoilt + 1] = place
      break
    end
    if #entries == 0 then
      break
    end
    for entry = 1, #entries, 2 do
      allowed = allowed - open(place, entries[entry], entries[entry + 1])
    end
  end
  if allowed <= 0 or touched >= most then
    may_have_more = 1
  end
end

return {due and math.max(0, due - now) or -1, may_have_more, spoilt, taken}
