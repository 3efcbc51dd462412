-- nvrtc_spec.lua - "cuda:sm_90a", the cuda device with neither GPU nor driver: every built-in kernel compiles for sm_80
-- and sm_90a with NVRTC and says what it needs; so does `pah kernels --arch`. Pending where there is no NVRTC.
local child = require "spec.support.child"
local host = require "pah.host"
local refused = require "spec.support.refused"
local sample = require "spec.support.sample"

local usable, why = pcall(pah.device, "cuda:sm_90a")

local function has_toolkit()
  for _, root in ipairs {os.getenv "CUDA_HOME" or "", os.getenv "CUDA_PATH" or "", "/usr/local/cuda"} do
    local file = io.open(root .. "/include/cuda_fp16.h")
    if file then return file:close() end
  end
end

describe("NVRTC alone", function()
  if not usable then return pending(tostring(why)) end
  local device = pah.device "cuda:sm_90a"

  for _, arch in ipairs(sample {"sm_80", "sm_90a"}) do
    it("compiles every built-in kernel for " .. arch .. " #slow", function()
      -- On sm_80 fp8 is widened by integers, and one compile takes six times as long: fp8_sm80_spec.lua has all sizes.
      local hopper = arch == "sm_90a"
      local function leave_out(op, kernel) return not hopper and op == "fwd_fp8" and kernel == "sm80" end
      local list = require("pah.module.kernel_table").collect(arch, leave_out)
      local seen = {}
      for _, k in ipairs(list) do
        seen[k.kernel] = (seen[k.kernel] or 0) + 1
        assert.is_true(k.registers >= 8 and k.registers <= 255, k.source)
        assert.is_true(k.thread_blocks_per_sm >= 1 and k.occupancy > 0 and k.occupancy <= 1, k.source)
        local allowed = k.source:find "^naive/" and 64 or 0
        assert.is_true(k.spill_store_bytes <= allowed, ("%s spills %d bytes"):format(k.source, k.spill_store_bytes))
      end
      assert.same({forward = 14, forward_sm90 = hopper and 18 or nil, forward_sm80 = hopper and 22 or 10,
        forward_simt = 2, decode = 22, combine = 6, backward_dq = 6, backward_dkv = 6,
        backward_sm90 = hopper and 4 or nil, backward_dkdv_sm80 = hopper and 6 or 4,
        backward_dq_sm80 = hopper and 6 or 4, backward_items = hopper and 2 or 1, backward_prepare = hopper and 5 or 4,
        merge = 1, kv_append = 1, check_slots = 1}, seen)
      if not hopper then return end
      local text = child.shell(host.exe .. " kernels --arch sm_90a") -- compiled by now
      assert.is_truthy(text:find("kernel +registers +static +dynamic +spilled"), text)
      assert.is_truthy(text:find("backward_dkv +%d+ +0 +%d+"), text)
    end)
  end

  it("tells registers, static shared memory, stack and spills as ptxas counts them", function()
    local module = device:compile{text = [[
      extern "C" __global__ void tile(float *x) {
        __shared__ float s[300];
        s[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
        x[threadIdx.x] = s[299 - threadIdx.x];
      }
      extern "C" __global__ void __launch_bounds__(1024) greedy(double *x, long long q) {
        double l[64];
        for (int i = 0; i < 64; i++) l[i] = x[i * q];
        for (int i = 0; i < 64; i++) x[i + threadIdx.x] = l[(i * q) & 63] * l[i];
      }
      template <int N> __global__ void add(float *x) { x[threadIdx.x] += N; }
    ]]}
    local tile, greedy = module:resources "tile", module:resources "greedy"
    assert.equal(1200, tile.shared_bytes)
    assert.is_true(tile.registers >= 4 and tile.registers < 40)
    assert.equal(0, tile.spill_store_bytes)
    assert.is_true(greedy.local_bytes >= 512 and greedy.spill_store_bytes > 0 and greedy.spill_load_bytes > 0)
    assert.equal(0, greedy.shared_bytes)
    assert.equal(227 * 1024, tile.max_shared_bytes)
    assert.is_true(module:resources("add<3>").registers > 0)
    refused("compiles only; launch it on cuda or sim", module.launch, module, "add<3>", {})
  end)

  it("keeps what tensor kernels move in registers", function()
    local module = device:compile{source = host.datadir .. "/kernels/tensor/copy.cu"}
    for _, kernel in ipairs {"copy_words", "copy_shifted", "fill_words"} do
      assert.equal(0, module:resources(kernel).local_bytes, kernel)
    end
  end)

  it("gives the compiler's words, with file and line", function()
    refused("text(2): error: identifier \"oops\" is undefined", device.compile, device,
      {text = 'extern "C" __global__ void f() {\n  oops; }', kernels = {"f"}})
    refused("is not an architecture of this NVRTC, which knows", pah.device, "cuda:sm_12")
    refused("is not an architecture", pah.device, "cuda:sm_")
  end)

  it("takes the functions of ptx.cuh as PTX", function()
    local sources = {{"ptx_pipeline"}, {"ptx_hopper"}, {"ptx_attention"}, {"ptx_attention90"},
      {"ptx_layout", {F16_SUMS = 1}}, {"ptx_layout", {S8 = 1}}}
    for _, mma in ipairs {"m16n8k16_bf16", "m16n8k16_f16", "m16n8k8_tf32"} do
      sources[#sources + 1] = {"ptx_layout", {MMA = "mma_" .. mma}}
    end
    for _, source in ipairs(sources) do
      local module = device:compile{source = ("spec/kernels/%s.cu"):format(source[1]), defines = source[2]}
      local names = module:kernels()
      assert.is_true(#names > 0, source[1])
      for _, name in ipairs(names) do assert.is_true(module:resources(name).registers > 0, name) end
    end
  end)

  it("has the standard headers that ordinary .cu files include", function()
    local module = device:compile{text = [[
      #include <stdint.h>
      #include <float.h>
      #include <limits.h>
      #include <math.h>
      #include <stdio.h>
      #include <assert.h>
      extern "C" __global__ void f(uint64_t *x, float *y) {
        assert(x != nullptr);
        x[0] = UINT64_MAX + INT_MAX;
        y[0] = fmaxf(-INFINITY, FLT_MAX) * (float)M_PI;
        printf("%d", (int)y[0]);
      }
    ]]}
    assert.is_true(module:resources("f").registers > 0)
  end)

  it("finds the headers of the toolkit", function()
    if not has_toolkit() then return pending("the CUDA Toolkit has no headers here") end
    local module = device:compile{text = [[
      #include <cuda_fp16.h>
      #include <cuda_bf16.h>
      extern "C" __global__ void f(__half *x, __nv_bfloat16 *y) {
        x[0] = __hadd(x[0], x[1]);
        y[0] = __hadd(y[0], y[1]);
      }
    ]]}
    assert.is_true(module:resources("f").registers > 0)
  end)

  it("compiles again when any file that goes in changes, however it is named", function()
    local folder = child.folder()
    local function size(words)
      child.write(folder .. "/k.cu", words .. [[

        extern "C" __global__ void f(char *x) {
          __shared__ char s[SIZE];
          s[threadIdx.x] = x[0];
          __syncthreads();
          x[threadIdx.x] = s[SIZE - 1 - threadIdx.x];
        }]])
      return device:compile{source = folder .. "/k.cu", include = folder .. "/lib"}:resources("f").shared_bytes
    end
    assert.equal(0, os.execute(("mkdir -p %s/lib/deep %s/deep"):format(folder, folder)))
    child.write(folder .. "/lib/outer.h", '#include "deep/inner.h"\n')
    child.write(folder .. "/lib/deep/inner.h", '/*\n*/ # include /**/ "leaf.h"\n')
    for name, case in pairs {
      ["behind a comment"] = {'/* of the size */ #include "size.h"', "size.h"},
      ["on joined lines"] = {'#in\\\nclude \\\n "size.h"', "size.h"},
      ["by a macro"] = {'#define FILE_NAME "size.h"\n#include FILE_NAME', "size.h"},
      ["behind what looks like a comment"] = {'__device__ const char *s = "/*";\n#include "size.h"\n//*/', "size.h"},
      ["behind a raw string"] = {'__device__ const char *s = R"x(" /* )x";\n#include "size.h"\n//*/', "size.h"},
      ["through other headers"] = {'#include "outer.h"', "lib/deep/leaf.h"},
      ["where it may be"] = {'#if __has_include("size.h")\n#include "size.h"\n#endif', "size.h"},
    } do
      for bytes = 300, 500, 100 do
        child.write(folder .. "/" .. case[2], ("#define SIZE %d\n"):format(bytes))
        assert.equal(bytes, size(case[1]), name)
      end
    end
    child.write(folder .. "/deep/inner.h", "#define SIZE 700\n") -- found first, where there was none
    child.write(folder .. "/lib/deep/leaf.h", "#define SIZE 600\n")
    assert.equal(600, size '#include "outer.h"') -- beside itself
    assert.equal(700, size '#include "deep/inner.h"')
    os.execute("rm -rf " .. folder)
  end)

  it("names the architectures that `pah kernels --arch` takes", function()
    local text = child.shell(host.exe .. " kernels --arch sm_1")
    assert.is_truthy(text:find("is not an architecture of this NVRTC", 1, true), text)
  end)
end)
