-- run_gnuplot.lua - runs gnuplot on scripts and returns what they draw. Promises: it works in a temporary
-- folder that only the user can read; the user's gnuplot settings are not read; no name reaches a shell. Without
-- gnuplot it raises an error that says how to get it. Read next: gnuplot_script.lua.
local errors = require "pah.errors"
local files = require "pah.util.whole_file"
local output_of = require("pah.util.shell").output
local quoted = require("pah.util.safe_text").shell

local M = {}

--- Whether there is a gnuplot.
function M.usable() return output_of "command -v gnuplot 2>/dev/null" ~= "" end

--- Raises unless there is a gnuplot; `what` is the call that needs it.
function M.need(what)
  if not M.usable() then
    errors.raisef("%s: pictures are drawn by gnuplot, which is not installed: apt install gnuplot-nox", what)
  end
end

-- Terminal of gnuplot for a job: what is 13 pixels of SVG, of 96 to the inch, has that size in each. PNG has twice the
-- pixels, for screens of today; PDF has 72 units to the inch. In both a point of type is 96 / 72 pixels or units, and a
-- mark two thirds as large as in SVG; a line of PDF is half as thick.
local function terminal(job)
  local w, h = job.width, job.height
  local paper = job.background and (" background rgb '%s'"):format(job.background) or ""
  if job.format == "svg" then
    return ("set terminal svg size %d,%d dynamic noenhanced rounded font 'sans-serif,13'%s"):format(w, h,
      paper:gsub(" rgb", ""))
  elseif job.format == "pdf" then
    local function inches(pixels) return (math.ceil(0.75 * pixels) + 0.01) / 72 end -- it cuts off parts of a unit
    return ("set terminal pdfcairo noenhanced rounded color size %.5fin,%.5fin font 'sans,13' fontscale 0.5625 "
      .. "linewidth 1.5 pointscale 1.125%s"):format(inches(w), inches(h), paper)
  end
  local size = ("size %d,%d font 'sans,13' fontscale 1.5"):format(2 * w, 2 * h)
  return ([[
if (strstrt(GPVAL_TERMINALS, 'pngcairo') > 0) {
set terminal pngcairo noenhanced rounded %s linewidth 2 pointscale 3%s
} else {
set terminal png noenhanced truecolor %s linewidth 2%s
}]]):format(size, paper, size, paper)
end

-- Runs gnuplot in the folder and reads what it drew into the list `pictures`; returns what went wrong, or nothing.
local function run(folder, jobs, pictures)
  local parts = {"set encoding utf8\n"}
  for i, job in ipairs(jobs) do
    parts[#parts + 1] = ("reset session\n%s\nset output '%d'\n%s\nunset output\n"):format(terminal(job), i, job.script)
  end
  local file, why = io.open(folder .. "/script", "wb")
  if not file then return why end
  local written = file:write(table.concat(parts))
  if not file:close() or not written then return "the script cannot be written: the disk is full" end
  local status = os.execute(("cd %s && exec gnuplot -d script >log 2>&1 </dev/null"):format(quoted(folder)))
  for i = 1, #jobs do pictures[i] = files.read(folder .. "/" .. i) end
  if status ~= 0 or #pictures < #jobs then return files.read(folder .. "/log") or "no reason is given" end
end

--- Draws jobs {format = "svg", "png" or "pdf", width=, height= (pixels), background=, script=}; returns the list of
--- their files' contents. `what` is the call for which they are drawn.
function M.draw(jobs, what)
  M.need(what)
  local folder = output_of("mktemp -d 2>&1"):gsub("\n$", "")
  if not folder:find "^/" then errors.raisef("%s: no temporary folder: %s", what, folder) end
  local pictures = {}
  local ok, why = pcall(run, folder, jobs, pictures) -- Ctrl-C must not leave the folder behind
  os.execute("rm -rf " .. quoted(folder))
  if not ok then error(why, 0) end
  if why then errors.raisef("%s: gnuplot failed: %s", what, (why:gsub("%s+", " "))) end
  return pictures
end

return M
