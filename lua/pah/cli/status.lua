-- status.lua - `pah status FOLDER`: how far the shards of `pah submit` are. Read next: cluster/status.lua.
local json = require "pah.util.json"
local misused = require("pah.options").misused
local status = require "pah.cluster.status"
local submissions = require "pah.cluster.submission"

return {
  usage = "FOLDER [--json]",
  about = "how far the shards of an experiment are that `pah submit` has begun",
  text = [[
FOLDER is what `pah submit` has named. Exit code: 0 every shard is done, 1 some are not, 2 wrong usage.]],
  options = {json = {"print JSON", false}},
  words = 1,
  run = function(opt)
    if not opt[1] then return misused("status", "no folder is named") end
    local ok, state = pcall(function() return status.of(submissions.open((opt[1]:gsub("(.)/+$", "%1")))) end)
    if not ok then return misused("status", state) end
    io.stdout:write(opt.json and json.encode(state) .. "\n" or status.text(state))
    return state.complete and 0 or 1
  end,
}
