-- text_canvas.lua - a sheet of characters on which dots are drawn: each holds 2 x 4 dots of braille, or one mark.
-- Places are fractions of the sheet, 0 to 1, from the left and from below. Read next: terminal.lua.
local bit = require "bit"

local M = {}
local Canvas = {}
Canvas.__index = Canvas

-- Bits of the dots of a braille character, by column and by row from above.
local dots = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

--- An empty sheet of so many characters.
function M.new(width, height)
  return setmetatable({width = width, height = height, cells = {}}, Canvas)
end

function Canvas:cell(column, row)
  local key = row * self.width + column
  self.cells[key] = self.cells[key] or {bits = 0}
  return self.cells[key]
end

local function inside(x, y) return x >= -1e-9 and x <= 1 + 1e-9 and y >= -1e-9 and y <= 1 + 1e-9 end

-- Column and row of dots, from 0 and from above.
function Canvas:grid(x, y)
  return math.floor(x * (2 * self.width - 1) + 0.5), math.floor((1 - y) * (4 * self.height - 1) + 0.5)
end

--- A dot; outside of the sheet it is left out.
function Canvas:dot(x, y, colour)
  if not inside(x, y) then return end
  local i, j = self:grid(x, y)
  local cell = self:cell(math.floor(i / 2), math.floor(j / 4))
  cell.bits = bit.bor(cell.bits, dots[i % 2 + 1][j % 4 + 1])
  cell.colour = colour
end

--- A line; with `gap` every gap-th dot only.
function Canvas:line(x1, y1, x2, y2, colour, gap)
  local steps = math.ceil(math.max(math.abs(x2 - x1) * 2 * self.width, math.abs(y2 - y1) * 4 * self.height, 1))
  steps = math.min(steps, 1e5) -- far outside the sheet it may be coarse
  for step = 0, steps, gap or 1 do
    local part = step / steps
    self:dot(x1 + part * (x2 - x1), y1 + part * (y2 - y1), colour)
  end
end

--- A character in place of the dots.
function Canvas:mark(x, y, character, colour)
  if not inside(x, y) then return end
  local i, j = self:grid(x, y)
  local cell = self:cell(math.floor(i / 2), math.floor(j / 4))
  cell.mark, cell.colour = character, colour
end

local function braille(bits) return "\226" .. string.char(160 + math.floor(bits / 64), 128 + bits % 64) end

--- The characters of a row (from 1, from above), with escapes of colour if asked for.
function Canvas:row(row, colour)
  local out = {}
  for column = 0, self.width - 1 do
    local cell = self.cells[(row - 1) * self.width + column]
    local character = not cell and " " or cell.mark or braille(cell.bits)
    if colour and cell and cell.colour then character = ("\27[%sm%s\27[0m"):format(cell.colour, character) end
    out[#out + 1] = character
  end
  return table.concat(out)
end

return M
