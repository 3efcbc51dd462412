-- man.lua - the manual page of a command (mdoc), from its entry in the table of commands: `pah __man NAME` prints it,
-- and scripts/manual writes doc/man/pah-NAME.1. Read next: help.lua, which prints the same for a terminal.
local options = require "pah.options"

-- Text as mdoc takes it: nothing is a macro or an escape, sentences begin lines.
local function escaped(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("%s+", " "):gsub("^ ", "")
  text = text:gsub("([.:;]) (%u)", "%1\n%2")
  return (("\n" .. text):gsub("\n([.'])", "\n\\&%1"):sub(2))
end

--- The page of the command `name`, whose definition is `this`.
return function(name, this)
  local lines = {
    (".\\\" pah-%s.1 - the manual page of a command, made by scripts/manual from lua/pah/cli: edit that."):format(name),
    ".Dd November 30, 2026", (".Dt PAH-%s 1"):format(name:upper()), ".Os", ".Sh NAME", ".Nm pah-" .. name,
    ".Nd " .. escaped(this.about), ".Sh SYNOPSIS", (".Nm pah %s"):format(name),
  }
  if this.usage ~= "" then lines[#lines + 1] = escaped(this.usage) end
  lines[#lines + 1] = ".Sh DESCRIPTION"
  lines[#lines + 1] = escaped(this.about:gsub("^%l", string.upper) .. ".")
  if this.text then lines[#lines + 1] = ".Pp\n" .. escaped(this.text) end
  if this.options and next(this.options) then
    lines[#lines + 1] = ".Sh OPTIONS\n.Bl -tag -width Ds"
    for _, row in ipairs(options.rows(this.options)) do
      lines[#lines + 1] = ".It " .. escaped(row[1]) .. "\n" .. escaped(row[2]:gsub("^%l", string.upper)) .. "."
    end
    lines[#lines + 1] = ".El"
  end
  lines[#lines + 1] = ".Sh SEE ALSO\n.Xr pah 1"
  return table.concat(lines, "\n") .. "\n"
end
