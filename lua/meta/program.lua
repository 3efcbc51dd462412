-- program.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta pah

---@alias pah.dtype "f32"|"f64"|"f16"|"bf16"|"fp8_e4m3"|"fp8_e5m2"|"i32"|"i64"|"u8"

---@alias pah.device "cpu"|"cuda"|"sim"|string|pah.Device

---@alias pah.op "fwd"|"fwd_fp8"|"bwd"|"decode"

---@class pah
pah = {}

---what a script takes besides options
---@class pah.WordLimits
---@field words? integer # how many words that are no options there may be; default: any number

---the program's version
---@type string
pah.version = nil

---prints what the manual says of a function, an object or a name; `?x` and `x?` at the prompt do the same, and `pah
---help NAME` in a shell. Without x: an overview
---```lua
---pah.help(pah.decode)
---```
---@param x? any
function pah.help(x) end

---a value as text: tables readable, elided where they are long; `print` shows tables so
---```lua
---print(pah.inspect{1, 2, {name = 'q'}})
---```
---@param x any
---@return string
function pah.inspect(x) end

---monotonic seconds
---```lua
---local start = pah.clock()
---print(pah.clock() - start)
---```
---@return number
function pah.clock() end

---the threads of the cpu kernels; with n, sets them
---```lua
---print(pah.threads())
---```
---@param n? integer
---@return integer
function pah.threads(n) end

---declares the options of a script, `name = {"help", default, choices=, type=, short=}`, and reads them from its
---command line
---```lua
---local opt = pah.options{batch = {"sequences in the batch", 16}}
---print(opt.batch)
---```
---@param declared {[string]: table}
---@param limits? pah.WordLimits
---@return table
function pah.options(declared, limits) end

---a list for an axis: a, a + step, ... up to b
---```lua
---pah.range(1, 4)
---```
---@param a number
---@param b number
---@param step? number
---@return number[]
function pah.range(a, b, step) end

---a list for an axis: a, a base, a base^2, ... up to b
---```lua
---pah.powers(64, 4096)
---```
---@param a number
---@param b number
---@param base? number
---@return number[]
function pah.powers(a, b, base) end

return pah
