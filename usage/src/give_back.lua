-- Gives back what a call has taken, once. One script is one atomic step in Redis.
--
-- KEYS[1]  calls given back: glyph:{customer}:returned:<period start>; see spend.lua
-- KEYS[2]  charges given back: glyph:{customer}:returns:<hour of the charge>; a hash, the charge's id to 1, and under "#"
--          how many there are
-- KEYS[3]  credits: glyph:{customer}:credits; see spend.lua; only with grants
--
-- ARGV[1]  id of the charge
-- ARGV[2]  second since 1970 in which it was made
-- ARGV[3]  calls of the quota
-- ARGV[4]  floor: calls known to be given back
-- ARGV[5]  period end, seconds since 1970
-- ARGV[6]  seconds after which a charge is not given back any more
-- ARGV[7]  charges given back in an hour at most
-- ARGV[8…] three words for each grant; only with KEYS[3]:
--          id; credits taken of it; floor: credits known to be given back
--
-- Answer   {verdict, now, returned, credits returned of the first grant, …}
--          verdict 0 given back, 1 had been before, 2 too late, 3 too many; now in seconds

local KEEP = 7 * 24 * 60 * 60 -- as in spend.lua
local KEEP_CREDITS = 2 * 366 * 24 * 60 * 60 -- as in spend.lua
local MAX = 9007199254740991 -- 2^53 - 1

local function number(text)
  if not text then return nil end
  local number = tonumber(text)
  if not number or number ~= number then error('glyph: a counter is not a number') end
  return number
end
local function whole(count) return string.format('%.0f', count) end

local now = tonumber(redis.call('TIME')[1])
local made, within = tonumber(ARGV[2]), tonumber(ARGV[6])
local known = redis.call('HMGET', KEYS[2], ARGV[1], '#')
local count = number(known[2]) or 0
local verdict = 0
if known[1] then
  verdict = 1
elseif math.abs(now - made) > within then
  verdict = 2
elseif count >= tonumber(ARGV[7]) then
  verdict = 3
end

local given = number(redis.call('GET', KEYS[1])) or 0
local returned = math.min(math.max(given, tonumber(ARGV[4])), MAX)
local answer, fields = {verdict, now, returned}, {}
local held = {}
if KEYS[3] then
  for at = 8, #ARGV, 3 do fields[#fields + 1] = 'returned:' .. ARGV[at] end
  held = redis.call('HMGET', KEYS[3], unpack(fields))
  for n = 1, #fields do answer[3 + n] = math.min(math.max(number(held[n]) or 0, tonumber(ARGV[7 + 3 * n])), MAX) end
end
if verdict ~= 0 then return answer end

-- An id is remembered for longer than its charge can be given back, by whichever clock.
redis.call('HSET', KEYS[2], ARGV[1], 1, '#', whole(count + 1))
redis.call('EXPIRE', KEYS[2], 3 * within)
answer[3] = math.min(returned + tonumber(ARGV[3]), MAX)
local expires = math.max(tonumber(ARGV[5]), now) + KEEP
redis.call('SET', KEYS[1], whole(answer[3]), 'EXAT', whole(expires))
if KEYS[3] then
  local written = {}
  for n = 1, #fields do
    answer[3 + n] = math.min(answer[3 + n] + tonumber(ARGV[6 + 3 * n]), MAX)
    written[2 * n - 1], written[2 * n] = fields[n], whole(answer[3 + n])
  end
  redis.call('HSET', KEYS[3], unpack(written))
  redis.call('EXPIRE', KEYS[3], KEEP_CREDITS)
end
return answer
