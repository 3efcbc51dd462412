-- sim_spec.lua - lua/examples/own_kernel.cu judged on sim: as it is it passes in all three schedules; with a mistake
-- put into its source it is refused and the cause named, a missing barrier by the simulator itself.
local support = require "spec.support.gpu.sim"
local verdicts = require "pah.judge.verdict"

-- What stands in the source, and what a mistake makes of it; the words of the cause.
local mutants = {
  {"head / (heads / kv_heads)", "head % kv_heads", "^wrong head of GQA: h %% Hkv"},
  {"query[d] = q[row + d] * softmax_scale", "query[d] = q[row + d]", "^scale forgotten"},
  {"largest + logf(total)", "(largest + logf(total)) / 0.69314718f", "^log2 for ln in lse"},
  {"largest + logf(total)", "logf(total)", "^lse without the maximum"},
  {"total > 0 ? sum / total : 0", "sum", "^out not divided"},
  {"total > 0 ? sum / total : 0", "sum / total", "^a row that sees no key"},
  {"sum *= shrink;", "", "^online softmax does not rescale the sums of V"},
  {"seqused_k[b]; first += TILE", "seqused_k[b] - 1; first += TILE", "."},
  {"block_table[b * max_blocks_per_seq + token / block_size]", "block_table[token / block_size]",
    "^table row of another sequence: of the first"},
  {"int first = 0; first < seqused_k[b]", "int first = TILE; first < seqused_k[b]", "^tile 0 of 32 keys .* skipped"},
}

local function judge(text, more)
  local dev, modules = pah.device "sim", {}
  local spec = {op = "decode", device = dev, cases = {{}, {len_k = {0, 33, 70}}, {H = 6, Hkv = 3, block_size = 7}}}
  function spec.run(a, case)
    local D, k = case.D, a.k_blocks.shape
    modules[D] = modules[D] or dev:compile{text = text, defines = {HEAD_DIM = D}}
    modules[D]:launch("own_decode", {grid = {case.H, #case.len_k}, block = D}, a.out, a.lse, a.q, a.k_blocks,
      a.v_blocks, a.block_table, a.seqused_k, case.H, k[3], k[2], a.block_table:size(2), a.softmax_scale)
  end
  for name, value in pairs(more or {}) do spec[name] = value end
  return pah.judge(spec)
end

support.needed(describe, pending)("a kernel on sim", function()
  local source = assert(io.open "lua/examples/own_kernel.cu"):read "*a"

  it("passes as it is, in every schedule", function()
    local v = judge(source, {schedules = {"order", "reverse", "random"}, invariant = {"repeat", "batch"}})
    assert.is_true(v.ok and v.passed == 3, tostring(v))
  end)

  it("without its barrier is refused for the race", function()
    local v = judge("#define FORGOTTEN\n" .. source, {cases = {{len_k = {70, 40}}}})
    assert.equal(1, v.failed)
    assert.is_truthy(v.failures[1].what:find "race" and v.failures[1].what:find "run failed", v.failures[1].what)
  end)

  for n, mutant in ipairs(mutants) do
    it(("with mistake %d is refused, and the cause is named: %s"):format(n, mutant[3]), function()
      local from, to = source:find(mutant[1], 1, true)
      assert.is_truthy(from, mutant[1])
      local text = source:sub(1, from - 1) .. mutant[2] .. source:sub(to + 1)
      if mutant[1]:find("block_table", 1, true) then -- of K and of V
        from, to = text:find(mutant[1], 1, true)
        text = text:sub(1, from - 1) .. mutant[2] .. text:sub(to + 1)
      end
      local v = judge(text)
      local causes = verdicts.causes(v)
      assert.is_true(v.failed > 0)
      assert.is_truthy(causes[1] and causes[1].cause:find(mutant[3]) or mutant[3] == ".", tostring(v))
    end)
  end
end)
