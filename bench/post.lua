-- For wrk: posts the bodies of a folder (files 0, 1, 2 ...) in turn, and says what was measured as one line of JSON.
-- wrk -s post.lua URL -- FOLDER COUNT CONTENT-TYPE

local requests = {}
local place = 0

function init(args)
   for number = 0, tonumber(args[2]) - 1 do
      local file = assert(io.open(args[1] .. "/" .. number, "rb"))
      requests[number] = wrk.format("POST", nil, {["Content-Type"] = args[3]}, file:read("*a"))
      file:close()
   end
   place = math.random(0, #requests)
end

function request()
   place = (place + 1) % (#requests + 1)
   return requests[place]
end

function done(summary, latency, _requests)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "failed": %d, "p50": %d, "p99": %d}\n',
      summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
