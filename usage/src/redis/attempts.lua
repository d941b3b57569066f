-- Counts one attempt in a window of time that begins with the first.
-- KEYS[1]: the counter. ARGV[1]: the window in milliseconds.
-- Answers the attempts of this window, this one included, and the milliseconds until it ends.
local attempts = (tonumber(redis.call('GET', KEYS[1])) or 0) + 1
local left = redis.call('PTTL', KEYS[1])
if left <= 0 then
  left = tonumber(ARGV[1])
end
redis.call('SET', KEYS[1], attempts, 'PX', left)
return { attempts, left }
