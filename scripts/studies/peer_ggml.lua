-- peer_ggml.lua - flash attention of ggml's CPU backend as scripts/studies/peers.lua calls it: a graph of that one
-- operation, computed again and again by the same backend. Memory is pah's, so that it lies on huge pages as the
-- pools of pah do.
local ffi = require "ffi"

ffi.cdef [[
struct ggml_init_params { size_t mem_size; void *mem_buffer; _Bool no_alloc; };
void *ggml_init(struct ggml_init_params params);
void *ggml_new_tensor_4d(void *ctx, int type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3);
void *ggml_view_4d(void *ctx, void *a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3, size_t nb1, size_t nb2,
  size_t nb3, size_t offset);
void *ggml_flash_attn_ext(void *ctx, void *q, void *k, void *v, void *mask, float scale, float max_bias, float softcap);
void *ggml_new_graph(void *ctx);
void ggml_build_forward_expand(void *graph, void *tensor);
void *ggml_get_data(const void *tensor);
const char *ggml_version(void);
void *ggml_backend_cpu_init(void);
void ggml_backend_cpu_set_n_threads(void *backend, int n_threads);
int ggml_backend_graph_compute(void *backend, void *graph);
int ggml_cpu_has_avx512(void);
]]

local M = {}
local TYPE = {f32 = 0, f16 = 1} -- enum ggml_type
local base, cpu, backend

--- Opens libggml-base.so and libggml-cpu.so of a folder -> what they are, in words.
function M.open(folder)
  base = ffi.load(folder .. "/libggml-base.so", true)
  cpu = ffi.load(folder .. "/libggml-cpu.so")
  backend = cpu.ggml_backend_cpu_init()
  cpu.ggml_backend_cpu_set_n_threads(backend, pah.threads())
  return ("ggml %s, built for %s"):format(ffi.string(base.ggml_version()),
    cpu.ggml_cpu_has_avx512() == 1 and "AVX-512" or "less than AVX-512")
end

-- The memory of a context with the contents of a contiguous tensor of pah.
local function filled(ctx, source)
  local t = base.ggml_new_tensor_4d(ctx, TYPE[source.dtype], source:numel(), 1, 1, 1)
  ffi.copy(base.ggml_get_data(t), source:data(), source.nbytes)
  return t
end

-- -inf where a query may not look: key j of len_k for query i of n, which are the last n tokens.
local function causal_mask(ctx, n, len_k)
  local mask = base.ggml_new_tensor_4d(ctx, TYPE.f16, len_k, n, 1, 1)
  local bits = ffi.cast("uint16_t *", base.ggml_get_data(mask))
  for i = 0, n - 1 do
    for j = 0, len_k - 1 do bits[i * len_k + j] = j > len_k - n + i and 0xfc00 or 0 end
  end
  return mask
end

--- Attention of q [B, H, n, D] f32 (contiguous) over k and v, which have one dtype: [B, Hkv, len_k, D], or, with
--- `token_major`, [B, len_k, Hkv, D] as llama.cpp's cache has them; n queries are the last tokens if `causal`. Returns
--- functions that compute it, `runs`, and `out` -> [B, H, n, D] of the last that ran. The first has one operation for
--- all sequences; the second, for several sequences of one query, one for each, which ggml splits along the keys.
function M.attention(q, k, v, opts)
  local B, H, n, D = unpack(q.shape)
  local heads, tokens = opts.token_major and 3 or 2, opts.token_major and 2 or 3
  local Hkv, len_k, size = k.shape[heads], k.shape[tokens], k.dtype == "f16" and 2 or 4
  local bytes = 2 ^ 22 + 3 * q.nbytes + k.nbytes + v.nbytes + (opts.causal and 2 * n * len_k or 0) + 4096 * B
  local memory = pah.empty({bytes}, {dtype = "u8", device = "cpu"})
  local ctx = base.ggml_init(ffi.new("struct ggml_init_params", bytes, memory:data(), false))
  local mask = opts.causal and causal_mask(ctx, n, len_k) or nil
  local all_q, all_k, all_v = filled(ctx, q), filled(ctx, k), filled(ctx, v)
  local row = D * size
  local of_token, of_head = opts.token_major and Hkv * row or row, opts.token_major and row or len_k * row
  local last

  -- A graph of `per` sequences at a time.
  local function graph_of(per)
    local graph, results = base.ggml_new_graph(ctx), {}
    for b = 0, B - 1, per do
      local function cache(t)
        return base.ggml_view_4d(ctx, t, D, len_k, Hkv, per, of_token, of_head, Hkv * len_k * row,
          b * Hkv * len_k * row)
      end
      local queries = base.ggml_view_4d(ctx, all_q, D, n, H, per, 4 * D, 4 * D * n, 4 * D * n * H, 4 * D * n * H * b)
      local out = base.ggml_flash_attn_ext(ctx, queries, cache(all_k), cache(all_v), mask, 1 / math.sqrt(D), 0, 0)
      base.ggml_build_forward_expand(graph, out)
      results[#results + 1] = out
    end
    return function()
      assert(base.ggml_backend_graph_compute(backend, graph) == 0, "ggml: the graph failed")
      last = {per = per, results = results}
    end
  end

  return {
    memory = memory, runs = {graph_of(B), B > 1 and n == 1 and graph_of(1) or nil},
    out = function()
      local all = pah.empty({B, n, H, D}, {device = "cpu"})
      for i, out in ipairs(last.results) do
        local part = all:narrow(1, (i - 1) * last.per + 1, last.per)
        ffi.copy(part:data(), base.ggml_get_data(out), part.nbytes)
      end
      return all:permute(1, 3, 2, 4)
    end,
  }
end

return M
