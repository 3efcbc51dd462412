-- no_sequences_spec.lua - every GPU kernel takes a batch of no sequences and sequences of no queries, padded or ragged:
-- sizes of 0 reach the host's divisions (how many heads share a tile, how many thread blocks). On sim, by its name.
local no_sim = require("spec.support.gpu.sim").why

local H, Hkv, D = 4, 2, 64

-- Arguments of `op` for B sequences of Sq queries each, over 20 tokens of a pool of 4 blocks.
local function problem(op, dev, dtype, B, Sq, ragged)
  local function zeros(shape, dt) return pah.zeros(shape, {dtype = dt or dtype, device = dev}) end
  local function rows(heads_d) return ragged and {B * Sq, H, heads_d} or {B, H, Sq, heads_d} end
  local a = {q = zeros(rows(D)), k_blocks = zeros {4, 16, Hkv, D}, v_blocks = zeros {4, 16, Hkv, D},
    block_table = zeros({B, 2}, "i32"), seqused_k = pah.full({B}, 20, {dtype = "i32", device = dev})}
  if ragged then
    local sums = {}
    for b = 0, B do sums[b + 1] = b * Sq end
    a.cu_seqlens_q = pah.tensor(sums, {dtype = "i32", device = dev})
  end
  if op == "bwd" then
    a.out, a.dout, a.lse = zeros(rows(D)), zeros(rows(D)), zeros(ragged and {H, B * Sq} or {B, H, Sq}, "f32")
  end
  return a
end

describe("no sequences, or none with queries", function()
  if no_sim then return pending(no_sim) end
  local seen = {}
  for _, kernel in ipairs(pah.kernels()) do
    for _, name in ipairs {"sim", "sim:sm_90a"} do
      local key = name .. kernel.op .. kernel.name
      if kernel.device == "sim" and not seen[key] then
        seen[key] = true
        it("are taken by " .. kernel.op .. " " .. kernel.name .. " on " .. name, function()
          local dev, ran = pah.device(name), 0
          for _, dtype in ipairs {"bf16", "f32"} do
            for _, size in ipairs {{0, 3}, {2, 0}, {0, 0}} do
              for _, ragged in ipairs {false, true} do
                local a = problem(kernel.op, dev, dtype, size[1], size[2], ragged)
                a.kernel = kernel.name
                local ok, out = pcall(pah[kernel.op], a)
                if ok then assert.equal(0, out:numel()) end
                ran = ran + (ok and 1 or 0)
              end
            end
          end
          if ran == 0 then pending("the kernel takes none of these on " .. name) end
        end)
      end
    end
  end
end)
