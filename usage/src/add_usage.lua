-- Adds a batch of requests to a customer's usage, once. One script is one atomic step in Redis.
--
-- KEYS[1]  usage of the hour: glyph:{customer}:usage:hour:<its first second>; a hash, "<key id> <endpoint> <class>" to
--          requests
-- KEYS[2]  usage of the day: glyph:{customer}:usage:day:<its first second>; the same
-- KEYS[3]  number of the source's last batch: glyph:{customer}:usage:from:<source>
--
-- ARGV[1]  number of the batch, higher than that of each earlier one of this source
-- ARGV[2]  seconds the hour is kept, ARGV[3] the day, ARGV[4] the source's number
-- ARGV[5…] two words for each row: field, requests
--
-- Answer   1 when it was added, 0 when it had been before

local MAX = 9007199254740991 -- 2^53 - 1

if tonumber(ARGV[1]) <= (tonumber(redis.call('GET', KEYS[3]) or 0) or 0) then return 0 end

local fields = {}
for at = 5, #ARGV, 2 do fields[#fields + 1] = ARGV[at] end
if #fields > 0 then
  for n = 1, 2 do
    local held, written = redis.call('HMGET', KEYS[n], unpack(fields)), {}
    for row = 1, #fields do
      -- A figure that somebody has overwritten begins anew: it decides nothing.
      local sum = (tonumber(held[row] or 0) or 0) + tonumber(ARGV[4 + 2 * row])
      written[2 * row - 1], written[2 * row] = fields[row], string.format('%.0f', math.min(sum, MAX))
    end
    redis.call('HSET', KEYS[n], unpack(written))
    redis.call('EXPIRE', KEYS[n], ARGV[1 + n])
  end
end
redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[4])
return 1
