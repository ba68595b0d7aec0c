-- Checks and charges every limit of one request, or none.
--
-- KEYS     one state a limit, all with one hash tag, so that they lie in one slot of a cluster
-- ARGV[1]  the time in microseconds, or '' for this server's own
-- then, for each limit, six: its kind and five numbers (unused ones are 0)
--
--   b  cost_us cost_part depth_us depth_part pace   a bucket; a part is one pace-th of a microsecond
--   f  per_us requests                              a fixed window
--   s  per_us requests                              a sliding window
--   d  requests                                     a day, UTC
--   m  requests                                     a month, UTC
--
-- Answers { 1 if charged, else 0; the time in seconds and microseconds; then three numbers a limit: its state before }.
-- Every number is an integer below 2^53, so that Lua's numbers hold it exactly, and nothing is rounded.

local floor, fmod, max = math.floor, math.fmod, math.max

local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
else
  now = tonumber(ARGV[1])
end

local function number(value)
  return string.format('%.0f', value)
end

local function read(key)
  local kept = redis.call('GET', key)
  if not kept then
    return nil
  end
  local a, b, c = string.match(kept, '^(%d+) (%d+) (%d+)$')
  if not a then
    return nil
  end
  return tonumber(a), tonumber(b), tonumber(c)
end

-- a * b in two digits of base 2^21, for a below 2^32 and b below 2^42.
local function product(a, b)
  local low = fmod(b, 2097152)
  local high = (b - low) / 2097152
  local carried = a * low
  local last = fmod(carried, 2097152)
  return a * high + (carried - last) / 2097152, last
end

local function window(per)
  return (now - fmod(now, per)) / per
end

-- Each answers: whether one more may come, the state before, the state after, and for how many microseconds that one says anything.
local kinds = {}

function kinds.b(key, cost, cost_part, depth, depth_part, pace)
  local full, part = read(key)
  if not full or full < now then
    full, part = now, 0
  end
  local ahead = full - now
  -- No bucket is emptier than empty: a clock that was set back costs one of its depth and no more.
  if ahead > depth or (ahead == depth and part > depth_part) then
    full, part = now + depth, depth_part
  end
  local after, after_part = full + cost, part + cost_part
  if after_part >= pace then
    after, after_part = after + 1, after_part - pace
  end
  ahead = after - now
  local may = ahead < depth or (ahead == depth and after_part <= depth_part)
  return may, { full, part, 0 }, { after, after_part, 0 }, ahead + 1
end

function kinds.f(key, per, requests)
  local index, count = window(per), 0
  local kept, had = read(key)
  if kept == index then
    count = had
  end
  local left = (index + 1) * per - now
  return count < requests, { index, count, 0 }, { index, count + 1, 0 }, left
end

function kinds.s(key, per, requests)
  local index, before, count = window(per), 0, 0
  local kept, had_before, had = read(key)
  if kept == index then
    before, count = had_before, had
  elseif kept and kept + 1 == index then
    before = had
  end
  local left = (index + 1) * per - now
  local room = requests - count - 1
  local may = false
  if room >= 0 then
    local weight, weight_low = product(before, left)
    local free, free_low = product(room, per)
    may = weight < free or (weight == free and weight_low <= free_low)
  end
  return may, { index, before, count }, { index, before, count + 1 }, left + per
end

-- A calendar's window that was begun is not begun again, whatever the clock says.
local function calendar(key, index, ends, requests)
  local count = 0
  local kept, had = read(key)
  if kept and kept >= index then
    index, count = kept, had
  end
  -- A day longer than its window, for clocks that are set back.
  local lives = max(ends - now, 0) + 86400000000
  return count < requests, { index, count, 0 }, { index, count + 1, 0 }, lives
end

function kinds.d(key, requests)
  local day = 86400000000
  local index = window(day)
  return calendar(key, index, (index + 1) * day, requests)
end

-- Year and month of a day since 1970; years are counted from March, so that the leap day is the last of them.
local function civil(days)
  local shifted = days + 719468
  local era = floor(shifted / 146097)
  local of_era = shifted - era * 146097
  local year_of_era = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year_of_era + floor(year_of_era / 4) - floor(year_of_era / 100))
  local from_march = floor((5 * of_year + 2) / 153)
  local year = year_of_era + era * 400
  if from_march < 10 then
    return year, from_march + 3
  end
  return year + 1, from_march - 9
end

function kinds.m(key, requests)
  local year, month = civil(window(86400000000))
  -- 31 days hold every month's end.
  return calendar(key, (year - 1970) * 12 + month - 1, now + 31 * 86400000000, requests)
end

local admitted = 1
local answer = { 0, floor(now / 1000000), fmod(now, 1000000) }
local states, lives = {}, {}
for position, key in ipairs(KEYS) do
  local at = 2 + (position - 1) * 6
  local kind = kinds[ARGV[at]]
  local numbers = {}
  for offset = 1, 5 do
    numbers[offset] = tonumber(ARGV[at + offset])
  end
  local may, before, after, life = kind(key, numbers[1], numbers[2], numbers[3], numbers[4], numbers[5])
  if not may then
    admitted = 0
  end
  states[position], lives[position] = after, life
  for _, value in ipairs(before) do
    answer[#answer + 1] = value
  end
end
if admitted == 1 then
  for position, key in ipairs(KEYS) do
    local after = states[position]
    local text = number(after[1]) .. ' ' .. number(after[2]) .. ' ' .. number(after[3])
    redis.call('SET', key, text, 'PX', number(floor(lives[position] / 1000) + 1))
  end
end
answer[1] = admitted
return answer
