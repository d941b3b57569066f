-- Admits and counts one request, or refuses it and counts nothing. One script is one atomic step in Redis.
--
-- KEYS[1]  quota counter of the customer and period: glyph:{customer}:quota:<period start>; an integer that only grows
-- KEYS[2]  calls given back of these: glyph:{customer}:returned:<period start>; an integer that only grows. What counts
--          as used is the difference
-- KEYS[3]  rate state of the key: glyph:{customer}:rate:<key id>; absent when the key has no rate limit and the
--          customer no grants. The "theoretical arrival time" of GCRA: when the bucket is full again, microseconds
--          since EPOCH
-- KEYS[4]  credits: glyph:{customer}:credits; a hash, grant id to credits used and "returned:" with grant id to credits
--          given back of these, integers that only grow; only with grants
-- All have the hash tag {customer}: one slot, so one node of a cluster decides.
--
-- ARGV[1]  cost: calls this request takes of the quota, and what the quota does not hold, of credits
-- ARGV[2]  limit: calls a period, or -1 for unlimited
-- ARGV[3]  floor: what is known to be used; the counter is never taken to be lower
-- ARGV[4]  floor of what is given back
-- ARGV[5]  period end, seconds since 1970
-- ARGV[6]  microseconds from one request to the next (may have a fraction); only with KEYS[3]
-- ARGV[7]  burst: requests admitted at once; 0 when the key has no rate limit; only with KEYS[3]
-- ARGV[8…] five words for each grant, in the order they are spent; only with KEYS[4]:
--          id; credits that may be used of it in all; floor: how many are known to be used; floor: how many of these are
--          known to be given back; the second since 1970 in which it expires
--
-- Answer   {verdict, used, rate remaining, retry after, full after, now, returned}
--          verdict 0 admitted, 1 quota and credits exceeded, 2 rate limited; the two waits in microseconds; now in
--          seconds. With KEYS[4] there follow {…, credits taken, credits left}, and of each grant {used, returned, taken}
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
local given = number(redis.call('GET', KEYS[2]))
local returned = math.min(math.max(given or 0, tonumber(ARGV[4])), MAX)
local from_credits = 0
if limit >= 0 then from_credits = cost - math.min(cost, math.max(limit - math.max(used - returned, 0), 0)) end

-- Of each grant: its two fields, what they hold, and with the floors; credits that may be taken.
local fields, held, spent, back, room_of, left, grants = {}, {}, {}, {}, {}, 0, 0
if KEYS[4] then
  for at = 8, #ARGV, 5 do
    fields[#fields + 1] = ARGV[at]
    fields[#fields + 1] = 'returned:' .. ARGV[at]
  end
  grants = #fields / 2
  held = redis.call('HMGET', KEYS[4], unpack(fields))
  for n = 1, grants do
    local at = 3 + 5 * n
    held[2 * n - 1], held[2 * n] = number(held[2 * n - 1]) or 0, number(held[2 * n]) or 0
    spent[n] = math.min(math.max(held[2 * n - 1], tonumber(ARGV[at + 2])), MAX)
    back[n] = math.min(math.max(held[2 * n], tonumber(ARGV[at + 3])), MAX)
    room_of[n] = 0
    if tonumber(ARGV[at + 4]) > now_s then
      room_of[n] = math.max(tonumber(ARGV[at + 1]) - math.max(spent[n] - back[n], 0), 0)
    end
    left = math.min(left + room_of[n], MAX)
  end
end

local verdict = 0
if from_credits > left then verdict = 1 end

-- GCRA: each request moves the arrival time on by one interval; it may be at most `burst` intervals ahead of now.
-- A stored time further ahead (a lowered limit, a clock set back) is cut to that.
local remaining, retry, full = 0, 0, 0
local burst = tonumber(ARGV[7] or 0)
if burst > 0 then
  local interval = tonumber(ARGV[6])
  local before = number(redis.call('GET', KEYS[3]))
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
  if verdict == 0 or (before and (before > arrival or redis.call('PTTL', KEYS[3]) == -1)) then
    local ttl = math.max(math.ceil(full / 1000), 1)
    redis.call('SET', KEYS[3], string.format('%.17g', arrival), 'PX', string.format('%.0f', ttl))
  end
end

if verdict == 0 then used = math.min(used + cost - from_credits, MAX) else from_credits = 0 end
-- Written when it counts more than Redis holds (this request, or a floor after a loss), or when it has no end.
local function keep(key, count, held)
  if count ~= (held or 0) or (held and redis.call('TTL', key) == -1) then
    local expires = math.max(tonumber(ARGV[5]), now_s) + KEEP
    redis.call('SET', key, string.format('%.0f', count), 'EXAT', string.format('%.0f', expires))
  end
end
keep(KEYS[1], used, counted)
keep(KEYS[2], returned, given)

local answer = {verdict, used, remaining, retry, full, now_s, returned}
if KEYS[4] then
  local owed, known, written = from_credits, false, {}
  -- As above: what this request takes, or a floor after a loss.
  local function hold(at, count)
    known = known or held[at] > 0
    if count ~= held[at] then
      written[#written + 1] = fields[at]
      written[#written + 1] = string.format('%.0f', count)
    end
  end
  left = 0
  answer[8] = from_credits
  for n = 1, grants do
    local take = math.min(owed, room_of[n])
    owed = owed - take
    left = math.min(left + room_of[n] - take, MAX)
    spent[n] = math.min(spent[n] + take, MAX)
    local at = 7 + 3 * n
    answer[at], answer[at + 1], answer[at + 2] = spent[n], back[n], take
    hold(2 * n - 1, spent[n])
    hold(2 * n, back[n])
  end
  answer[9] = left
  if #written > 0 then redis.call('HSET', KEYS[4], unpack(written)) end
  if #written > 0 or (known and redis.call('TTL', KEYS[4]) < KEEP_CREDITS / 2) then
    redis.call('EXPIRE', KEYS[4], KEEP_CREDITS)
  end
end
return answer
