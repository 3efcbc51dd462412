-- batch_spec.lua - pah.batch: vLLM's batch grammar to requests and tensors, back to text, and errors that point at what
-- is wrong.
local batch_spec = require "pah.attention.batch"

local function flat(text)
  local words = {}
  for i, r in ipairs(batch_spec.parse(text)) do words[i] = r.q_len .. "/" .. r.seq_len end
  return table.concat(words, " ")
end

local function refused(message, ...) require "spec.support.refused"(message, pah.batch, ...) end

describe("pah.batch", function()
  it("reads the grammar", function()
    assert.equal("2048/2048", flat "q2k")
    assert.equal("1/1024", flat "q1s1k")
    assert.equal("1/1024 1/1024 1/1024", flat "3q1s1k")
    assert.equal("2048/2048 2048/2048 1/1024", flat "2q2k_q1s1k")
    assert.equal("4/1000 17/17", flat "q4s1000_1q17")
    assert.equal("1024/4096", flat "q1ks4k")
  end)

  it("gives what block_table and the operations take", function()
    local b = pah.batch("q5_2q1s40_q3s33", {device = "cpu"})
    assert.same({5, 40, 40, 33}, b.seqlens)
    assert.same({5, 1, 1, 3}, b.q_lens)
    assert.same({0, 5, 6, 7, 10}, b.cu_seqlens_q:totable())
    assert.equal("i32", b.cu_seqlens_q.dtype)
    assert.equal(10, b.total_q)
    assert.equal(5, b.max_q)
    assert.equal("mixed", b.kind)
    assert.is_false(b.padded)
    local block_table, seqused_k = pah.block_table{seqlens = b.seqlens, block_size = 16, device = "cpu"}
    local pool = {10, 16, 1, 64}
    local function random(shape) return pah.randn(shape, {device = "cpu"}) end
    local out = pah.fwd{q = random {b.total_q, 2, 64}, k_blocks = random(pool), v_blocks = random(pool),
      block_table = block_table, seqused_k = seqused_k, cu_seqlens_q = b.cu_seqlens_q, causal = true}
    assert.same({10, 2, 64}, out.shape)
  end)

  it("knows what a batch does", function()
    for text, kind in pairs {q1s8 = "decode", ["3q1s8_q1s9"] = "decode", q8 = "prefill", q4s8 = "decode",
      ["8q4s8k"] = "decode",
      ["q64s65_q1s9"] = "decode", q65s80 = "extend", ["q8_q1s8"] = "mixed", ["q8_q4s8"] = "mixed",
      q1 = "decode", ["q1_q1s9"] = "decode", ["q65s80_q4s80"] = "mixed"} do
      assert.equal(kind, pah.batch(text, {device = "cpu"}).kind)
    end
  end)

  it("gives its text back, in the shortest form", function()
    for text, short in pairs {["8q1s1k"] = "8q1s1k", ["2q2k_32q1s1k"] = "2q2k_32q1s1k", q2048 = "q2k",
      ["1q2ks2k"] = "q2k", ["q1s1000_3q1s1000"] = "4q1s1000", q1024s1025 = "q1ks1025"} do
      local b = pah.batch(text, {device = "cpu"})
      assert.equal(short, tostring(b))
      assert.same(b.requests, pah.batch(tostring(b), {device = "cpu"}).requests)
      assert.equal(short, pah.batch(b.requests, {device = "cpu"}).text)
      assert.equal(short, pah.batch(b, {device = "cpu"}).text)
    end
  end)

  it("gives back whatever it is made of", function()
    local state = 12345
    local function random(n)
      state = (state * 1103515245 + 12345) % 2 ^ 31
      return math.floor(state / 65536) % n + 1
    end
    for _ = 1, 200 do
      local list = {}
      for i = 1, random(6) do
        local q = random(3) == 1 and 1024 * random(4) or random(5000)
        list[i] = {q_len = q, seq_len = q + (random(2) == 1 and 0 or random(9000))}
      end
      assert.same(list, batch_spec.parse(batch_spec.text(list)))
    end
  end)

  it("points at what is wrong", function()
    refused('"8p1s1k" at character 2 of "8p1s1k": q is missing', "8p1s1k")
    refused('"" at character 5 of "q2k__q1": is empty', "q2k__q1")
    refused('"" at character 1 of "": is empty', "")
    refused('"q" at character 6 of "q2k_q": q has no number', "q2k_q")
    refused('"q1s" at character 8 of "q2k_q1s": s has no number', "q2k_q1s")
    refused('at character 5 of "q1s1m": "m" is not part of it', "q1s1m")
    refused('at character 4 of "q1kx": "x" is not part of it', "q1kx")
    refused('"q2K" at character 3 of "q2K": "K" is not part of it', "q2K")
    refused('" q1" at character 4 of "q2_ q1": q is missing', "q2_ q1")
    refused("count is 0, must be 1 to 1048576", "0q1")
    refused("makes more than 1048576 requests", "1048576q1_q1")
    refused("q is 0, must be at least 1", "q0s5")
    refused('"q2ks1k" at character 5 of "q1k_q2ks1k": s is 1024, must be at least q, 2048', "q1k_q2ks1k")
    refused("must be below 2^31", "q1s2097152k")
    refused("the new tokens are 2^31 or more", "4q1048576k")
    refused("is a number, must be a text such as 8q1s1k", 8)
    refused("has no requests", {})
    refused("request 1: seq_len is nil, must be a whole number >= 1", {{q_len = 1}})
    refused("request 2: seq_len is 1, must be at least q_len, 2", {{q_len = 1, seq_len = 1}, {q_len = 2, seq_len = 1}})
    refused('unknown option "devise", did you mean "device"?', "q1", {devise = 1})
  end)
end)
