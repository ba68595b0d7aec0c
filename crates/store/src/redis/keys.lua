-- One idempotency key: who was first under it, what they asked, and what became of it.
--
-- KEYS[1]  its name; without one nothing is done
-- ARGV[1]  'begin' or 'end'
--
--   begin print owner keep_ms running_max_s    answers { 'run' }, and the key is taken, or { 'mismatch' }, { 'running' }, { 'unknown' }, { 'not_kept' },
--                                              or { 'answered', sealed }
--   end owner what sealed                      'free', 'answered', 'not_kept' or 'unknown', of whoever took it and nobody else
--
-- The clock is this server's. An entry is gone after keep_ms, counted from its beginning; one that runs is there at least running_max_s.

local name = KEYS[1]
if not name then
  return {}
end

if ARGV[1] == 'begin' then
  local kept = redis.call('HMGET', name, 'print', 'state', 'sealed', 'since')
  local now = redis.call('TIME')[1]
  if not kept[1] then
    redis.call('HSET', name, 'print', ARGV[2], 'state', 'running', 'owner', ARGV[3], 'since', now, 'keep', ARGV[4])
    -- One that still runs is there whatever the time is.
    redis.call('PEXPIRE', name, math.max(tonumber(ARGV[4]), (tonumber(ARGV[5]) + 60) * 1000))
    return { 'run' }
  end
  if kept[1] ~= ARGV[2] then
    return { 'mismatch' }
  end
  if kept[2] == 'answered' then
    return { 'answered', kept[3] }
  end
  -- Whoever took it has gone without a word.
  if kept[2] == 'running' and tonumber(now) - tonumber(kept[4]) > tonumber(ARGV[5]) then
    return { 'unknown' }
  end
  return { kept[2] }
end

if redis.call('HGET', name, 'owner') ~= ARGV[2] then
  return { 'gone' }
end
if ARGV[3] == 'free' then
  redis.call('DEL', name)
else
  redis.call('HSET', name, 'state', ARGV[3], 'sealed', ARGV[4])
  redis.call('HDEL', name, 'owner')
  local of = redis.call('HMGET', name, 'since', 'keep')
  local passed = (tonumber(redis.call('TIME')[1]) - tonumber(of[1])) * 1000
  redis.call('PEXPIRE', name, math.max(tonumber(of[2]) - passed, 1))
end
return { 'kept' }
