-- Admits and counts one request, or refuses it and counts nothing. One script is one atomic step in Redis.
--
-- KEYS[1]  quota counter of the customer and period: glyph:{customer}:quota:<period start>; an integer
-- KEYS[2]  rate state of the key: glyph:{customer}:rate:<key id>; absent when the key has no rate limit and the
--          customer no grants. The "theoretical arrival time" of GCRA: when the bucket is full again, microseconds
--          since EPOCH
-- KEYS[3]  credits used: glyph:{customer}:credits; a hash, grant id to an integer that only grows; only with grants
-- All have the hash tag {customer}: one slot, so one node of a cluster decides.
--
-- ARGV[1]  cost: calls this request takes of the quota, and what the quota does not hold, of credits
-- ARGV[2]  limit: calls a period, or -1 for unlimited
-- ARGV[3]  floor: what is known to be used; the counter is never taken to be lower
-- ARGV[4]  period end, seconds since 1970
-- ARGV[5]  microseconds from one request to the next (may have a fraction); only with KEYS[2]
-- ARGV[6]  burst: requests admitted at once; 0 when the key has no rate limit; only with KEYS[2]
-- ARGV[7…] four words for each grant, in the order they are spent; only with KEYS[3]:
--          id; credits that may be used of it in all; floor: how many are known to be used;
--          the second since 1970 in which it expires
--
-- Answer   {verdict, used, rate remaining, retry after, full after, now}
--          verdict 0 admitted, 1 quota and credits exceeded, 2 rate limited; the two waits in microseconds; now in
--          seconds. With KEYS[3] there follow {…, credits taken, credits left, used of the first grant, …}
--
-- Numbers are doubles: exact up to 2^53 - 1, which the caller's validation ensures.

local EPOCH = 1767225600 -- 2026-01-01: keeps fractions of a microsecond exact enough
local KEEP = 7 * 24 * 60 * 60 -- seconds a quota counter outlives its period, for late readers
-- Credits are money: their hash outlives the customer's last request by a year at least. By then the checkpoints that
-- come with the grants know all of it.
local KEEP_CREDITS = 2 * 366 * 24 * 60 * 60
local MAX = 9007199254740991 -- 2^53 - 1
local SLACK = 0.5 -- microseconds; covers rounding

local function number(text)
  if not text then return nil end
  local number = tonumber(text)
  if not number or number ~= number then error('glyph: a counter is not a number') end
  return number
end

local clock = redis.call('TIME')
local now_s = tonumber(clock[1])
local now = (now_s - EPOCH) * 1000000 + tonumber(clock[2])

local cost, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local counted = number(redis.call('GET', KEYS[1]))
local used = math.min(math.max(counted or 0, tonumber(ARGV[3])), MAX)
local from_credits = 0
if limit >= 0 then from_credits = cost - math.min(cost, math.max(limit - used, 0)) end

local ids, held, spent, room_of, left = {}, {}, {}, {}, 0
if KEYS[3] then
  for at = 7, #ARGV, 4 do ids[#ids + 1] = ARGV[at] end
  held = redis.call('HMGET', KEYS[3], unpack(ids))
  for n = 1, #ids do
    local at = 3 + 4 * n
    held[n] = number(held[n]) or 0
    spent[n] = math.min(math.max(held[n], tonumber(ARGV[at + 2])), MAX)
    room_of[n] = 0
    if tonumber(ARGV[at + 3]) > now_s then room_of[n] = math.max(tonumber(ARGV[at + 1]) - spent[n], 0) end
    left = math.min(left + room_of[n], MAX)
  end
end

local verdict = 0
if from_credits > left then verdict = 1 end

-- GCRA: each request moves the arrival time on by one interval; it may be at most `burst` intervals ahead of now.
-- A stored time further ahead (a lowered limit, a clock set back) is cut to that.
local remaining, retry, full = 0, 0, 0
local burst = tonumber(ARGV[6] or 0)
if burst > 0 then
  local interval = tonumber(ARGV[5])
  local before = number(redis.call('GET', KEYS[2]))
  local arrival = math.min(math.max(before or now, now), now + interval * burst)
  local room = now + interval * burst - arrival + SLACK
  if verdict == 0 and room < interval then
    verdict = 2
    retry = math.ceil(interval - room)
  end
  if verdict == 0 then
    arrival = arrival + interval
    room = room - interval
  end
  remaining = math.min(math.floor(room / interval), burst)
  full = math.ceil(arrival - now)
  -- A refusal writes only to repair: an arrival that was cut, a key that has no end.
  if verdict == 0 or (before and (before > arrival or redis.call('PTTL', KEYS[2]) == -1)) then
    local ttl = math.max(math.ceil(full / 1000), 1)
    redis.call('SET', KEYS[2], string.format('%.17g', arrival), 'PX', string.format('%.0f', ttl))
  end
end

if verdict == 0 then used = math.min(used + cost - from_credits, MAX) else from_credits = 0 end
-- Written when it counts more than Redis holds (this request, or a floor after a loss), or when it has no end.
if used ~= (counted or 0) or (counted and redis.call('TTL', KEYS[1]) == -1) then
  local expires = math.max(tonumber(ARGV[4]), now_s) + KEEP
  redis.call('SET', KEYS[1], string.format('%.0f', used), 'EXAT', string.format('%.0f', expires))
end

local answer = {verdict, used, remaining, retry, full, now_s}
if KEYS[3] then
  local owed, known, written = from_credits, false, {}
  left = 0
  answer[7] = from_credits
  for n = 1, #ids do
    local take = math.min(owed, room_of[n])
    owed = owed - take
    left = math.min(left + room_of[n] - take, MAX)
    spent[n] = spent[n] + take
    answer[8 + n] = spent[n]
    known = known or held[n] > 0
    -- As above: what this request takes, or a floor after a loss.
    if spent[n] ~= held[n] then
      written[#written + 1] = ids[n]
      written[#written + 1] = string.format('%.0f', spent[n])
    end
  end
  answer[8] = left
  if #written > 0 then redis.call('HSET', KEYS[3], unpack(written)) end
  if #written > 0 or (known and redis.call('TTL', KEYS[3]) < KEEP_CREDITS / 2) then
    redis.call('EXPIRE', KEYS[3], KEEP_CREDITS)
  end
end
return answer
