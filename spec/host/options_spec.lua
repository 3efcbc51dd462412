-- options_spec.lua - pah.options: what a script declares, what the command line gives, and how it is refused.
local child = require "spec.support.child"
local host = require "pah.host"
local options = require "pah.options"

local declared = {
  batch = {"sequences in the batch", 16},
  dtype = {"element type", "bf16", choices = {"bf16", "f16", "f32"}},
  head_dim = {"size of a head", 64, choices = {64, 128}},
  fast = {"skip the check", false},
  plot = {"draw a picture", true},
  scale = {"factor of the scores", 0.5},
  limit = {"seconds", 1, type = "number"},
  output = {"file to write"},
  lengths = {"tokens of the sequences", {100, 200}},
}

local function parse(...) return options.parse(declared, {...}) end

local function refuses(message, ...)
  local opt, why = parse(...)
  assert.is_nil(opt)
  assert.equal(message, why)
end

describe("options", function()
  it("have their defaults", function()
    local opt = parse()
    assert.same({16, "bf16", 64, false, true, 0.5, 1, {100, 200}}, {opt.batch, opt.dtype, opt.head_dim, opt.fast,
      opt.plot, opt.scale, opt.limit, opt.lengths})
    assert.is_nil(opt.output)
    assert.is_nil(opt[1])
  end)

  it("are read as words or behind =", function()
    assert.equal(4, parse("--batch", "4").batch)
    assert.equal(4, parse("--batch=4").batch)
    assert.equal(1e6, parse("--batch=1e6").batch)
    assert.equal(-2, parse("--scale", "-2").scale)
    assert.equal(0.25, parse("--limit", "0.25").limit)
    assert.equal("a=b", parse("--output=a=b").output)
    assert.equal("", parse("--output=").output)
    assert.same({1, 2, 3}, parse("--lengths", "1,2,3").lengths)
  end)

  it("are read by their short names, and by those only that they have", function()
    local spec = {out = {"file", nil}, count = {"n", 1, short = "n"}}
    assert.equal(3, options.parse(spec, {"-n", "3"}).count)
    local opt, why = options.parse(spec, {"-o", "x"})
    assert.is_nil(opt)
    assert.is_truthy(why:find('unknown option "-o"', 1, true), why)
    spec.out.short = "o"
    assert.equal("x", options.parse(spec, {"-o", "x"}).out)
  end)

  it("take dashes for underscores", function()
    assert.equal(128, parse("--head-dim", "128").head_dim)
    assert.equal(128, parse("--head_dim=128").head_dim)
    assert.equal(128, options.parse({["head-dim"] = {"size", 64}}, {"--head_dim=128"})["head-dim"])
  end)

  it("switch flags on and off", function()
    assert.is_true(parse("--fast").fast)
    assert.is_false(parse("--no-plot").plot)
    assert.is_false(parse("--fast", "--no-fast").fast)
    assert.is_false(parse("--plot=false").plot)
    assert.is_true(parse("--fast=yes").fast)
  end)

  it("leave other words, and all behind --, in their order", function()
    local opt = parse("a", "--batch", "2", "-", "-7", "--", "--fast", "b")
    assert.same({"a", "-", "-7", "--fast", "b"}, {unpack(opt)})
    assert.is_false(opt.fast)
  end)

  it("refuse what has not the default's type", function()
    refuses('--batch: "x" is not a whole number', "--batch", "x")
    refuses('--batch: "1.5" is not a whole number', "--batch=1.5")
    refuses('--batch: "inf" is not a whole number', "--batch=inf")
    refuses('--scale: "wide" is not a number', "--scale", "wide")
    refuses('--fast: "maybe" is not true or false', "--fast=maybe")
    refuses('--lengths: "b" is not a whole number', "--lengths", "1,b")
    refuses('--lengths: "" is not a whole number', "--lengths=")
  end)

  it("refuse unknown names and choices, and name the nearest", function()
    refuses('unknown option "--bach"; did you mean "--batch"?', "--bach", "1")
    refuses('unknown option "--no-plto"; did you mean "--no-plot"?', "--no-plto")
    refuses('unknown option "-x"', "-x")
    refuses('--dtype: "f61" is not one of bf16, f16, f32; did you mean "f16"?', "--dtype", "f61")
    refuses('--head-dim: "65" is not one of 64, 128; did you mean "64"?', "--head-dim=65")
    refuses("--batch: needs a value", "--batch")
    refuses("--no-plot: takes no value", "--no-plot=1")
  end)

  it("say what they are, sorted by name", function()
    assert.equal([[
  --batch N        sequences in the batch [16]
  --dtype TEXT     element type: bf16, f16, f32 [bf16]
  --fast           skip the check
  --head-dim N     size of a head: 64, 128 [64]
  --help           print this text
  --lengths N,...  tokens of the sequences [100,200]
  --limit NUMBER   seconds [1]
  --output TEXT    file to write
  --no-plot        draw a picture [on]
  --scale NUMBER   factor of the scores [0.5]
]], options.help(declared))
  end)

  it("are declared rightly or refused", function()
    local function declares(spec) return function() options.parse(spec, {}) end end
    assert.has_error(declares{batch = 16}, 'options: batch is a number, must be {"help", default, choices=}')
    assert.has_error(declares{help = {"text"}}, "options: help is taken, must be another name")
    assert.has_error(declares{batch = {"text", 1, choice = {}}},
      'options: batch: unknown option "choice", did you mean "choices"?')
    assert.has_error(declares{batch = {"text", print}},
      "options: type of batch is function, must be string, number, whole or boolean")
  end)

  it("end the script with code 2, or 0 for --help", function()
    local script = os.tmpname()
    child.write(script, "-- x.lua - counts\n-- sequences. Slowly.\nlocal opt = pah.options{batch = {'sequences', 16}}\n"
      .. "print(opt.batch, opt[1])\n")
    local function run(words)
      local text, code = child.shell(("env -u LUA_INIT %s %s %s"):format(host.exe, script, words))
      return ("%s%d\n"):format(text:gsub(script:gsub("%p", "%%%0"), "SCRIPT"), code)
    end
    assert.equal("3\tx\n0\n", run "--batch 3 x")
    assert.equal('SCRIPT: --batch: "x" is not a whole number\nhint: --help lists the options\n2\n', run "--batch x")
    assert.equal("usage: pah SCRIPT [options]\ncounts sequences.\n\noptions:\n  --batch N  sequences [16]\n"
      .. "  --help     print this text\n0\n", run "--batch 3 --help")
    os.remove(script)
  end)
end)
