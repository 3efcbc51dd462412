-- progress.lua - a bar on stderr that shows how far a long run is and how long it will take. Promises: nothing is
-- written where stderr is no terminal or the run is quiet; the last line is left clean; NO_COLOR is honoured.
local C = require("pah.ffi").C
local host = require "pah.host"
local notice = require "pah.measure.notice"
local screen = require "pah.util.screen"

local M = {}
local Progress = {}
Progress.__index = Progress

--- Seconds for people: "0:07", "1:02:09".
function M.time_text(seconds)
  local s = math.floor(seconds + 0.5)
  if s >= 3600 then return ("%d:%02d:%02d"):format(s / 3600, s / 60 % 60, s % 60) end
  return ("%d:%02d"):format(s / 60, s % 60)
end

--- A bar for `total` steps of which `done` are done. options.quiet: never shown.
function M.new(total, done, options)
  local no_color = os.getenv "NO_COLOR"
  local on = not options.quiet and host.isatty(2) and os.getenv "TERM" ~= "dumb"
  local holds = on or options.quiet -- no notices meanwhile: the bar says it, or nothing is to be said
  if holds then notice.hold(true) end
  return setmetatable({
    total = total, done = done, measured = 0, failed = 0, start = C.pah_clock(), width = on and screen.width(2) - 1,
    shown = 0, color = no_color == nil or no_color == "",
    on = on, holds = holds,
  }, Progress)
end

local function erase(self)
  if self.shown > 0 then io.stderr:write("\r", (" "):rep(self.shown), "\r") end
  self.shown = 0
end

-- Time left from the mean of the steps done here; "?" before the first.
local function left(self)
  if self.measured == 0 then return "?" end
  return M.time_text((C.pah_clock() - self.start) / self.measured * (self.total - self.done))
end

--- Draws the bar; `what` is what is being done now.
function Progress:draw(what)
  if not self.on then return end
  local part = self.total > 0 and self.done / self.total or 1
  local bar = ("#"):rep(math.floor(20 * part)) .. ("-"):rep(20 - math.floor(20 * part))
  local failed = self.failed > 0 and ("  %d failed"):format(self.failed) or ""
  local text = ("[%s] %d/%d%s  left %s  %s"):format(bar, self.done, self.total, failed, left(self), what or "")
  text = text:sub(1, self.width)
  erase(self)
  self.shown = #text
  if self.color and failed ~= "" then
    text = text:gsub(failed, function(words) return "\27[31m" .. words .. "\27[0m" end, 1)
  end
  io.stderr:write(text)
  io.stderr:flush()
end

--- One step is done.
function Progress:step(failed)
  self.done, self.measured = self.done + 1, self.measured + 1
  if failed then self.failed = self.failed + 1 end
end

--- A line on stderr, above the bar.
function Progress:line(text)
  erase(self)
  io.stderr:write(text, "\n")
end

--- Removes the bar.
function Progress:finish()
  if self.holds then notice.hold(false) end
  self.holds = nil
  erase(self)
  io.stderr:flush()
end

return M
