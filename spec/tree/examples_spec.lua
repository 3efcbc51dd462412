-- examples_spec.lua - every file of lua/examples runs in a child process with small options, exits 0 and prints what it
-- promises; each is under 60 lines and starts with a one-line comment. llama_decode also with a captured workload.
local captured = require "spec.support.captured"
local child = require "spec.support.child"
local program = require("pah.host").exe

local cases = {
  hello = {"", "block_table", "against the float64 oracle:%s+max abs"},
  decode = {"--batch=2 --seqlen=40", "GB/s", "ok"},
  prefill = {"--seqlen=16 --past=8 --batch=1", "GFLOP/s", "out against the oracle", "\nok\n"},
  backward = {"", "d[kq]"},
  fp8_error = {"--batch=1 --seqlen=32 --head_dim=32", "fp8_e4m3", "amax"},
  own_kernel = {"", "out against the oracle%s+max abs", "no findings", "sectors", sim = true},
  missing_sync = {"", "as it should be:\nown_decode: no findings", "own_decode: race: .*own_kernel.cu:%d+", sim = true},
  shared_prefix = {"", "shared; private copies would need", "\nok\n"},
  block_size = {"--batch=2 --seqlen=64 --heads=1 --time=0.05 --block-size 4,16 --dtype f32", "block_size  dtype",
    "\n +4  f32", "\n +16  f32", "GB/s"},
  split_count = {"--batch 2 --seqlen 256 --num-splits 1,4,8 --time=0.05 --heads 1", "num_splits", "256 +4 "},
  contiguity = {"--batch=2 --seqlen=256 --heads=1 --time=0.05 --share 0,0.5,1", "contiguous", "\n +16 +1 .* 1\n"},
  dtype_error = {"--batch=2 --seqlen=32 --heads=1 --time=0.05", "max_error", "\nfp8_e5m2 .*%d"},
  gpt_oss = {"--batch 1 --seqlen 150 --new 1", "layer 1 decode window .*: ok\n", "layer 2 decode full .*: ok\n"},
  mla_decode = {"--batch 2 --seqlen 70 --repeats 3", "K 576 wide and V 512 of it: max error .*: ok\n", "V copied"},
  serving = {"--limit 12 --every 20 --time=0.02", "blocks of the cache in use", "12 requests in %d+ steps"},
  speculative = {"--past 20", "path 1 %- 3 %- 6: checked", "path 2 %- 5 %- 8: checked", "\nok\n"},
  llama_decode = {"--batch=3 --repeats=3", "3 sequences", ": ok\n", "GB/s"},
}

-- Output of the example with these options, and whether it exited 0.
local function run(name, options)
  local text, code = child.shell(("'%s' run lua/examples/%s.lua %s"):format(program, name, options))
  return text, code == 0
end

local no_sim = require("spec.support.gpu.sim").why

describe("example", function()
  local files = io.popen "ls lua/examples/*.lua"
  for path in files:lines() do
    local name = path:match "([%w_]+)%.lua$"
    it(name .. " runs and prints what it promises", function()
      local case = assert(cases[name], "examples_spec.lua has no case for " .. name)
      if case.sim and no_sim then return pending(no_sim) end
      local text, ok = run(name, case[1])
      assert.is_true(ok, text)
      for i = 2, #case do assert.is_truthy(text:find(case[i]), text) end
    end)

    it(name .. " is short and says what it is", function()
      local lines = {}
      for line in io.lines(path) do lines[#lines + 1] = line end
      assert.is_true(#lines < 60, #lines .. " lines")
      assert.is_truthy(lines[1]:find("^%-%- " .. name .. ": %S"), lines[1])
      assert.is_falsy(lines[2]:find "^%-%-", "the comment has one line")
    end)
  end
  files:close()

  if not captured.present then
    return pending "mla_decode and llama_decode with a captured workload: the shared data are not there"
  end
  it("mla_decode runs a captured workload", function()
    local definition, workloads = captured.mla "decode"
    local text, ok = run("mla_decode", ("--definition '%s' --workloads '%s' --root '%s' --repeats 1"):format(definition,
      workloads, captured.folder))
    assert.is_true(ok, text)
    assert.is_truthy(text:find "1 sequences, 16 query heads" and text:find ": ok\n", text)
  end)

  it("llama_decode runs a captured workload", function()
    local text, ok = run("llama_decode", ("--definition '%s' --workloads '%s/decode_captures/workloads.jsonl'"
      .. " --root '%s' --repeats 1 --workload 2"):format(captured.definition, captured.folder, captured.folder))
    assert.is_true(ok, text)
    assert.is_truthy(text:find "64 sequences" and text:find "H=32 Hkv=8 D=128 bf16" and text:find ": ok\n", text)
  end)
end)
