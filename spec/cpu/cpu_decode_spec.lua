-- cpu_decode_spec.lua - decode on the cpu where its tricks could show: codes of fp8 that go through tables, rows whose
-- elements lie in another order inside the kernel, a maximum that stays behind, and odd numbers of heads and pieces.
local judge = require "pah.judge.budget"

describe("decode on the cpu", function()
  local cpu = {device = "cpu"}

  local function one_token(dtype, D, k, v, q, heads)
    local p = {
      q = q:view(1, heads or 1, D), softmax_scale = 1,
      k_blocks = k:to(dtype):view(1, 1, 1, D), v_blocks = v:to(dtype):view(1, 1, 1, D),
      block_table = pah.zeros({1, 1}, {dtype = "i32", device = "cpu"}),
    }
    return pah.decode(p)
  end

  -- The numbers that the codes of a dtype of 8 bits stand for, D at a time; NaN where there is none.
  local function codes(dtype, D, first)
    local t = pah.zeros({D}, {dtype = dtype, device = "cpu"})
    for i = 0, D - 1 do t:data()[i] = (first + i) % 256 end
    return t
  end

  for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do
    for _, D in ipairs {64, 128, 80, 256} do
      it(("gives every code of %s as it is, D=%d"):format(dtype, D), function()
        local many = 12 -- heads of a KV head, whose rows are widened another way (src/cpu/decode/many_rows.h)
        local zero, zeros = pah.zeros({D}, cpu), pah.zeros({many * D}, cpu)
        for first = 0, 255, D do
          local v = codes(dtype, D, first)
          local want = v:to("f32"):totable()
          local one = one_token(dtype, D, zero, v, zero):view(D):totable()
          local all = one_token(dtype, D, zero, v, zeros, many):view(many * D):totable()
          for i = 1, many * D do
            local value = want[(i - 1) % D + 1]
            for _, got in ipairs {all[i], one[i]} do
              if value == value then assert.equal(value, got) else assert.is_true(got ~= got) end
            end
          end
        end
      end)
    end
  end

  for _, dtype in ipairs {"f32", "f16", "bf16", "fp8_e4m3", "fp8_e5m2"} do
    it("multiplies each element of K with its own of q, " .. dtype, function()
      for _, D in ipairs {32, 64, 96, 128, 200} do
        local k = pah.randn({D}, {device = "cpu", seed = 1}):to(dtype):to("f32")
        for d = 1, D, 7 do
          local q = pah.zeros({D}, cpu)
          q[d] = 2
          local _, lse = one_token(dtype, D, k, k, dtype:find "fp8" and q or q:to(dtype))
          assert.is_true(math.abs(lse:item() - 2 * k[d]) <= 4e-7 * math.max(1, math.abs(2 * k[d])))
        end
      end
    end)
  end

  it("is right when the maximum rises token by token, by less than its slack and by more", function()
    local D, n = 32, 500
    for _, rise in ipairs {0.05, 0.7, 9, -0.7} do
      local k = pah.zeros({n, 1, 1, D}, cpu)
      for j = 1, n do k[{j, 1, 1, 1}] = rise * j end
      local p = {
        q = pah.ones({1, 1, D}, cpu), softmax_scale = 1, k_blocks = k, v_blocks = pah.randn({n, 1, 1, D}, cpu),
        block_table = pah.arange(n, {dtype = "i32", device = "cpu"}):view(1, n),
      }
      local out, lse = pah.decode(p)
      local want, want_lse = pah.reference.decode(p)
      assert.is_true(pah.diff(out:to("f64"), want).max_abs < 1e-5)
      assert.is_true((pah.allclose(lse:to("f64"), want_lse, {rtol = 1e-6, atol = 1e-5})))
    end
  end)

  it("gives the same bits twice, over ragged lengths", function()
    local lengths = {1, 700, 33, 0, 257, 64}
    local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = 16, seed = 1, device = "cpu"}
    local pool = {100, 16, 2, 64}
    local p = {
      q = pah.randn({6, 10, 64}, {device = "cpu", dtype = "bf16"}), block_table = block_table, seqused_k = seqused_k,
      k_blocks = pah.randn(pool, {device = "cpu", dtype = "bf16"}),
      v_blocks = pah.randn(pool, {device = "cpu", dtype = "bf16"}),
    }
    local out, lse = pah.decode(p)
    for _ = 1, 5 do
      local again, again_lse = pah.decode(p)
      assert.equal(out:hash(), again:hash())
      assert.equal(lse:hash(), again_lse:hash())
    end
  end)

  -- Strips of a row that overlap where D is no multiple of them: an infinity must not meet a 0 of q that is not there.
  it("takes an infinity in K for one, wherever it lies", function()
    for _, D in ipairs {8, 40, 48, 80, 112} do
      for d = 1, D do
        local k = pah.zeros({2, 1, 1, D}, cpu)
        k[{2, 1, 1, d}] = -math.huge
        local _, lse = pah.decode{
          q = pah.ones({1, 1, D}, cpu):to("bf16"), k_blocks = k:to("bf16"),
          v_blocks = pah.ones({2, 1, 1, D}, cpu):to("bf16"),
          block_table = pah.arange(2, {dtype = "i32", device = "cpu"}):view(1, 2),
        }
        assert.equal(0, lse:item())
      end
    end
  end)

  -- The kernels that sum in f32 are to be exact on a processor too whose best set has others.
  local devices = {"cpu"}
  if judge.has_half(pah.device "cpu") then devices[2] = "cpu:avx512bf16" end
  if require("ffi").C.pah_isa_usable "amx" ~= 0 then devices[#devices + 1] = "cpu:amx" end

  local function heads_are_alike(device)
    for _, dtype in ipairs {"bf16", "fp8_e4m3"} do
      for _, D in ipairs {80, 128} do
        for _, group in ipairs {2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 31, 32} do
          local block_table, seqused_k = pah.block_table{seqlens = {75}, block_size = 16, seed = 1, device = device}
          local p = {
            q = pah.randn({1, 2 * group, D}, {device = device, seed = 1, dtype = "bf16"}), block_table = block_table,
            seqused_k = seqused_k, k_blocks = pah.randn({5, 16, 2, D}, {device = device, seed = 2}):to(dtype),
            v_blocks = pah.randn({5, 16, 2, D}, {device = device, seed = 3}):to(dtype),
          }
          local out, lse = pah.decode(p)
          local q, k, v = p.q, p.k_blocks, p.v_blocks
          for h = 1, 2 * group do
            local head = math.ceil(h / group)
            p.q, p.k_blocks, p.v_blocks = q:narrow(2, h, 1), k:narrow(3, head, 1), v:narrow(3, head, 1)
            local one, one_lse = pah.decode(p)
            -- by f16 (src/cpu/decode/f16.h) the order of a sum shows, and more than 8 heads go by f32
            local exact = dtype == "bf16" or not judge.has_half(out.device)
            assert.near(one_lse:item(), lse:view(2 * group)[h], exact and 2e-6 or 1e-3)
            local got, want = out[1][h]:totable(), one:view(D):totable()
            -- many heads may go by pairs of bf16 (src/cpu/decode/bf16x2.h), to which P is rounded
            local pairs = group > 8 and ({avx512bf16 = 1, avx512fp16 = 1, amx = 1})[out.device:info().isa]
            local least = pairs and 3e-3 or exact and 4e-6 or 1e-3
            for d = 1, D do assert.near(want[d], got[d], least + math.abs(want[d]) / 120) end -- out is bf16
          end
        end
      end
    end
  end

  for _, device in ipairs(devices) do
    it("gives a head the same as part of a group of any size and alone, " .. device, function()
      heads_are_alike(device)
    end)
  end
end)
