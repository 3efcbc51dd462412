-- safe_text.lua - names from results made safe for where they are written: a terminal, HTML, Markdown, a script of
-- gnuplot or the shell. Promises: what comes out is valid UTF-8 on one line; no name can end its quotes, tag or line.
local M = {}

-- The length of the valid UTF-8 sequence of text at i, or nil.
local function sequence(text, i)
  local a, b, c, d = text:byte(i, i + 3)
  local function tail(x) return x and x >= 0x80 and x < 0xc0 end
  if a < 0x80 then return 1 end
  if a >= 0xc2 and a < 0xe0 and tail(b) then return 2 end
  if a >= 0xe0 and a < 0xf0 and tail(b) and tail(c) then
    local code = (a % 16) * 4096 + (b % 64) * 64 + c % 64
    return code >= 0x800 and (code < 0xd800 or code >= 0xe000) and code < 0xfffe and 3 or nil
  end
  if a >= 0xf0 and a < 0xf5 and tail(b) and tail(c) and tail(d) then
    local code = (a % 8) * 262144 + (b % 64) * 4096
    return code >= 0x10000 and code < 0x110000 and 4 or nil
  end
end

--- The text on one line: control characters become blanks, bytes that are no UTF-8 become "?".
function M.line(text)
  text = tostring(text)
  local out, i = {}, 1
  while i <= #text do
    local n = sequence(text, i)
    local piece = n and text:sub(i, i + n - 1) or "?"
    -- Controls of ASCII and of Latin-1 (U+0080 to U+009F, which terminals obey), and what reverses the line.
    if piece:find "^[%z\1-\31\127]" or piece:find "^\194[\128-\159]" or piece:find "^\226\128[\168-\174]"
      or piece:find "^\226\129[\166-\169]" then
      piece = " "
    end
    out[#out + 1] = piece
    i = i + (n or 1)
  end
  return table.concat(out)
end

--- Characters of a line.
function M.width(text) return #text:gsub("[\128-\191]", "") end

--- The first n characters of a line, the last of them "…" if some are left out.
function M.cut(text, n)
  if M.width(text) <= n then return text end
  local out = {}
  for character in text:gmatch "[%z\1-\127\194-\244][\128-\191]*" do
    if #out == n - 1 then break end
    out[#out + 1] = character
  end
  return table.concat(out) .. "…"
end

--- Blanks behind (or, with `left`, before) a line until it has n characters.
function M.pad(text, n, left)
  local blanks = (" "):rep(n - M.width(text))
  return left and blanks .. text or text .. blanks
end

local entities = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;"}

--- For the content of an element or a quoted attribute of HTML.
function M.html(text) return (M.line(text):gsub("[&<>\"']", entities)) end

--- For a line or a table's cell of Markdown: nothing in it is markup.
function M.markdown(text) return (M.line(text):gsub("[|\\`*_<]", "\\%0")) end

--- A string of gnuplot, with its quotes. Whatever is no letter or blank is an octal escape (digits too: they would
--- belong to the one before them), so nothing that gnuplot could obey stands there as itself.
function M.gnuplot(text)
  return '"' .. M.line(text):gsub("[^%a \128-\255]", function(c) return ("\\%03o"):format(c:byte()) end) .. '"'
end

--- A word of the shell.
function M.shell(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

return M
