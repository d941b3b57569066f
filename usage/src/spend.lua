-- Admits and counts one request, or refuses it and counts nothing. One script is one atomic step in Redis.
--
-- KEYS[1]  quota counter of the customer and period: glyph:{customer}:quota:<period start>; an integer
-- KEYS[2]  rate state of the key: glyph:{customer}:rate:<key id>; absent when the key has no rate limit.
--          The "theoretical arrival time" of GCRA: when the bucket is full again, microseconds since EPOCH
-- Both have the hash tag {customer}: one slot, so one node of a cluster decides.
--
-- ARGV[1]  cost: calls this request takes of the quota
-- ARGV[2]  limit: calls a period, or -1 for unlimited
-- ARGV[3]  floor: what is known to be used; the counter is never taken to be lower
-- ARGV[4]  period end, seconds since 1970
-- ARGV[5]  microseconds from one request to the next (may have a fraction); only with KEYS[2]
-- ARGV[6]  burst: requests admitted at once; only with KEYS[2]
--
-- Answer   {verdict, used, rate remaining, retry after, full after, now}
--          verdict 0 admitted, 1 quota exceeded, 2 rate limited; the two waits in microseconds; now in seconds
--
-- Numbers are doubles: exact up to 2^53 - 1, which the caller's validation ensures.

local EPOCH = 1767225600 -- 2026-01-01: keeps fractions of a microsecond exact enough
local KEEP = 7 * 24 * 60 * 60 -- seconds a quota counter outlives its period, for late readers
local MAX = 9007199254740991 -- 2^53 - 1
local SLACK = 0.5 -- microseconds; covers rounding

local function stored(key)
  local text = redis.call('GET', key)
  if not text then return nil end
  local number = tonumber(text)
  if not number or number ~= number then error('glyph: a counter is not a number') end
  return number
end

local clock = redis.call('TIME')
local now_s = tonumber(clock[1])
local now = (now_s - EPOCH) * 1000000 + tonumber(clock[2])

local cost, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local counted = stored(KEYS[1])
local used = math.min(math.max(counted or 0, tonumber(ARGV[3])), MAX)

local verdict = 0
if cost > 0 and limit >= 0 and used + cost > limit then verdict = 1 end

-- GCRA: each request moves the arrival time on by one interval; it may be at most `burst` intervals ahead of now.
-- A stored time further ahead (a lowered limit, a clock set back) is cut to that.
local remaining, retry, full = 0, 0, 0
if KEYS[2] then
  local interval, burst = tonumber(ARGV[5]), tonumber(ARGV[6])
  local before = stored(KEYS[2])
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

if verdict == 0 then used = math.min(used + cost, MAX) end
-- Written when it counts more than Redis holds (this request, or a floor after a loss), or when it has no end.
if used ~= (counted or 0) or (counted and redis.call('TTL', KEYS[1]) == -1) then
  local expires = math.max(tonumber(ARGV[4]), now_s) + KEEP
  redis.call('SET', KEYS[1], string.format('%.0f', used), 'EXAT', string.format('%.0f', expires))
end

return {verdict, used, remaining, retry, full, now_s}
