-- Does once all that spend.lua and the readers of its counters do: a user who may not, a replica, or a Redis without
-- memory is found out before a request depends on it.
--
-- KEYS[1]  a string, gone after a second
-- KEYS[2]  a hash, gone after a second; of the same slot

redis.call('SET', KEYS[1], 1, 'PX', 1000)
redis.call('GET', KEYS[1])
redis.call('TTL', KEYS[1])
redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[2], 'probe', 1)
redis.call('EXPIRE', KEYS[2], 1)
redis.call('HMGET', KEYS[2], 'probe')
redis.call('HGETALL', KEYS[2])
redis.call('TIME')
return 1
