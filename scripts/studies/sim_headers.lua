-- sim_headers.lua - sim's headers of small number formats against those of a CUDA Toolkit, which must be installed:
--   pah scripts/studies/sim_headers.lua [--toolkit /usr/local/cuda]
-- Names: every function and class that a header of the toolkit declares for the device must be declared by sim's of the
-- same name. Values: conversions and arithmetic of every code of 16 and 8 bits (two operands: of 65536 pairs) on sim
-- must have the bits that the toolkit's host code gives. Prints what differs and ends with 1 if anything does.
local ffi = require "ffi"

local opt = pah.options{toolkit = {"the toolkit's folder", "/usr/local/cuda"}}
local work = os.tmpname()
os.remove(work)
os.execute("mkdir -p " .. work)
local function write(name, text)
  local f = assert(io.open(work .. "/" .. name, "w"))
  f:write(text)
  f:close()
  return work .. "/" .. name
end
local function output(command)
  local p = assert(io.popen(command .. " 2>/dev/null"))
  local text = p:read "*a"
  p:close()
  return text
end
local device = pah.device "sim:sm_90a"
local failures = 0
local function fail(...)
  print((...):format(select(2, ...)))
  failures = failures + 1
end

-- ---- Names ----

-- Words before a bracket that are no names of functions.
local KEYWORDS = {}
local KEPT = "new delete sizeof bool char short long unsigned double float int return if for while switch operator"
for word in KEPT:gmatch "%S+" do
  KEYWORDS[word] = true
end

local function declared(source)
  local text = output(("%s/bin/nvcc -E -arch=sm_90a -Xcompiler -P %s"):format(opt.toolkit, write("n.cu", source)))
  text = text:gsub("__attribute__%(%(device%)%)", " @D "):gsub("__attribute__%b()", " ")
  local names = {}
  for head in text:gmatch "@D%s+([^;{}=@()]*)%(" do
    local name = head:match "([%a_][%w_]*)%s*$"
    if name and not KEYWORDS[name] then names[name] = true end
  end
  return names
end

-- What no source names, and the votes without a mask, which nvcc refuses.
local INNER = {"internal", "_impl$", "^__float_simpl", "^cuda", "^__cuda", "Atomic", "helper$", "^_*all$", "^_*any$",
  "^_*ballot$", "^__assert_fail$", "^__cmath_power$", "^clock$", "^__nvvm", "^__pm%d$", "^_?_[uU]$"}
local function is_inner(name, header)
  for _, pattern in ipairs(INNER) do
    if name:match(pattern) then return true end
  end
  return header == "" and name:match "^__nv" ~= nil
end

local plain = declared ""
for _, header in ipairs{"", "cuda_fp16.h", "cuda_bf16.h", "cuda_fp8.h", "cuda_fp6.h", "cuda_fp4.h"} do
  local include = header == "" and "" or ("#include <%s>\n"):format(header)
  local all, lines = header == "" and plain or declared(include), {}
  for name in pairs(all) do
    local own = header == "" or not plain[name]
    local inner = is_inner(name, header)
    if own and not inner then lines[#lines + 1] = name end
  end
  table.sort(lines)
  -- What is missing stands in the compiler's errors, 20 at a time.
  local missing = {}
  for round = 1, 40 do
    local text = {include, 'extern "C" __global__ void probe() {\n'}
    for _, name in ipairs(lines) do
      if not missing[name] then text[#text + 1] = ("using ::%s;\n"):format(name) end
    end
    text[#text + 1] = "}\n"
    local ok, why = pcall(device.compile, device, {text = table.concat(text)})
    if ok then break end
    local before = next(missing) and #missing
    for name in tostring(why):gmatch "error: [^\n]-([%a_][%w_]*)[^%w_\n]+ has not been declared" do
      missing[name], missing[#missing + 1] = true, name
    end
    if #missing == (before or 0) and round > 1 then error(why) end
  end
  table.sort(missing)
  print(("%-12s %4d names, %d missing"):format(header == "" and "(none)" or header, #lines, #missing))
  if missing[1] then fail("  %s", table.concat(missing, " ")) end
end

-- ---- Values ----

local PRELUDE = [[
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#ifdef WITH_FP4
#include <cuda_fp4.h>
#endif
#include <string.h>
typedef unsigned long long bits_t;
template <class T> BOTH bits_t bits(T x) { bits_t b = 0; memcpy(&b, &x, sizeof x); return b; }
template <class T> BOTH T from(unsigned long long u) { T x; memcpy(&x, &u, sizeof x); return x; }
template <class T> BOTH T pair(unsigned u, unsigned v) { return from<T>(u | v << 16); }
]]

local one = {"__half2float(h)", "(double)(float)h", "__hneg(h)", "__habs(h)", "__hisnan(h)", "__hisinf(h)",
  "__half_as_short(h)", "(bool)h", "(int)h", "(unsigned)h", "(short)h", "(unsigned short)h", "(long long)h",
  "(unsigned long long)h", "(char)h", "(signed char)h", "(unsigned char)h", "-h", "h + half(__half_raw{0x3c00})"}
local all = {}
local function add(...)
  for _, text in ipairs{...} do all[#all + 1] = text end
end
for _, t in ipairs{{"half", "h", "k"}, {"bfloat16", "b", "c"}} do
  local name, h, k = unpack(t)
  for _, text in ipairs(one) do
    text = text:gsub("%f[%w]h%f[%W]", h)
    if name ~= "half" then
      text = text:gsub("half_raw", "nv_bfloat16_raw"):gsub("3c00", "3f80"):gsub("half%(", "__nv_bfloat16(")
      text = text:gsub("__half2", "__bfloat162"):gsub("__half_as", "__bfloat16_as")
    end
    all[#all + 1] = text
  end
  local two = name == "half" and "half2" or "bfloat162"
  -- The toolkit has other roundings between these on the device only.
  for to, x in pairs{int = "(int)w", uint = "(unsigned)w", short = "(short)u", ushort = "(unsigned short)u",
                     ll = "(long long)w", ull = "w"} do
    add(("__%s2%s_rz(%s)"):format(name, to, h), ("__%s2%s_rn(%s)"):format(to, name, x))
  end
  add(("__%s2char_rz(%s)"):format(name, h), ("__%s2uchar_rz(%s)"):format(name, h))
  for _, mode in ipairs{"_rn", "_rz", "_ru", "_rd"} do add(("__float2%s%s(f)"):format(name, mode)) end
  add(("__double2%s(d)"):format(name), ("__float2%s(f)"):format(name))
  for _, op in ipairs{"__hadd", "__hsub", "__hmul", "__hdiv", "__hadd_sat", "__hsub_sat", "__hmul_sat", "__hmax",
                      "__hmin", "__hmax_nan", "__hmin_nan", "__heq", "__hne", "__hlt", "__hle", "__hgt", "__hge",
                      "__hequ", "__hneu", "__hltu", "__hleu", "__hgtu", "__hgeu"} do
    add(("%s(%s, %s)"):format(op, h, k))
  end
  for _, op in ipairs{"+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!="} do add(("%s %s %s"):format(h, op, k)) end
  for _, op in ipairs{"__hadd2", "__hmul2", "__h2div", "__hmax2", "__hmin2", "__hmax2_nan", "__heq2", "__hltu2",
                      "__hbeq2", "__hbltu2", "__heq2_mask", "__hgtu2_mask"} do
    add(("%s(%s2, %s2)"):format(op, h, k))
  end
  add(("__lowhigh2highlow(%s2)"):format(h), ("__hisnan2(%s2)"):format(h), ("__habs2(%s2)"):format(h),
    ("__%s2float2(%s2)"):format(two, h))
end
add("(__half)b", "(__nv_bfloat16)h")
local casts = {"float", "double", "__half", "__nv_bfloat16", "bool", "int", "unsigned", "short", "unsigned short",
  "long long", "unsigned long long", "char", "signed char", "unsigned char"}
for _, fp in ipairs{{"8", {"e4m3", "e5m2", "e8m0"}}, {"6", {"e2m3", "e3m2"}}, {"4", {"e2m1"}}} do
  local width, kinds = unpack(fp)
  for _, kind in ipairs(kinds) do
    local T = ("__nv_fp%s_%s"):format(width, kind)
    for _, x in ipairs{"f", "d", "h", "b", "(int)w", "(unsigned)w", "(long long)w", "w", "(short)u",
                       "(unsigned short)u"} do
      add(("%s(%s)"):format(T, x))
    end
    local mask = width == "8" and 255 or width == "6" and 63 or 15
    for _, cast in ipairs(casts) do add(("(%s)from<%s>(u & %d)"):format(cast, T, mask)) end
    local T2, T4 = ("__nv_fp%sx2_%s"):format(width, kind), ("__nv_fp%sx4_%s"):format(width, kind)
    add(("%s(h2)"):format(T2), ("%s(b2)"):format(T2), ("%s(make_float2(f, (float)d))"):format(T2),
      ("%s(make_double2(d, f))"):format(T2), ("%s(h2, k2)"):format(T4), ("%s(b2, c2)"):format(T4),
      ("%s(make_float4(f, (float)d, f, 1))"):format(T4))
    local pair_mask = width == "6" and 0x3f3f or 0xffff
    add(("(float2)from<%s>(u & %d)"):format(T2, pair_mask), ("(__half2)from<%s>(u & %d)"):format(T2, pair_mask))
    if kind == "e8m0" then
      for _, sat in ipairs{"__NV_NOSAT", "__NV_SATFINITE"} do
        for _, mode in ipairs{"cudaRoundZero", "cudaRoundPosInf"} do
          add(("__nv_cvt_float_to_e8m0(f, %s, %s)"):format(sat, mode))
          add(("__nv_cvt_double_to_e8m0(d, %s, %s)"):format(sat, mode),
            ("__nv_cvt_bfloat16raw_to_e8m0(__nv_bfloat16_raw(b), %s, %s)"):format(sat, mode))
        end
      end
      add("__nv_cvt_e8m0_to_bf16raw(u & 255)")
    else
      local hows = width == "8" and {"__NV_NOSAT", "__NV_SATFINITE"} or {"cudaRoundNearest", "cudaRoundZero"}
      for _, how in ipairs(hows) do
        local function format_and(mode) -- in CUDA's order
          local format = "__NV_" .. kind:upper()
          return width == "8" and mode .. ", " .. format or format .. ", " .. mode
        end
        for from, x in pairs{float = "f", double = "d", halfraw = "__half_raw(h)",
                             bfloat16raw = "__nv_bfloat16_raw(b)"} do
          add(("__nv_cvt_%s_to_fp%s(%s, %s)"):format(from, width, x, format_and(how)))
        end
        add(("__nv_cvt_float2_to_fp%sx2(make_float2(f, (float)d), %s)"):format(width, format_and(how)))
      end
      add(("__nv_cvt_fp%s_to_halfraw(u & %d, __NV_%s)"):format(width, mask, kind:upper()))
    end
  end
end

local N = 65536
local INPUTS = [[
  unsigned v = (u * 40503u + 12345u) & 0xffff;
  bits_t w = (bits_t)u * 0x9e3779b97f4a7c15ull >> (u % 61);
  float f = from<float>(u << 16 | (u % 3 == 0 ? 0 : u % 3 == 1 ? 0x8000 : v));
  double d = from<double>((bits_t)u << 48 | (u % 3 == 0 ? 0 : (bits_t)v << 32 | v));
  if (u % 2) d = (double)f * (u % 4 == 1 ? 1 : 1 + 1e-12), f = (float)d;
  __half h = from<__half>(u), k = from<__half>(v);
  __nv_bfloat16 b = from<__nv_bfloat16>(u), c = from<__nv_bfloat16>(v);
  __half2 h2 = pair<__half2>(u, v), k2 = pair<__half2>(v, u ^ 0x1234);
  __nv_bfloat162 b2 = pair<__nv_bfloat162>(u, v), c2 = pair<__nv_bfloat162>(v, u ^ 0x1234);
]]

local function compare(list)
  local text = {}
  for i, e in ipairs(list) do text[#text + 1] = ("  case %d: return bits(%s);\n"):format(i - 1, e) end
  local body = "#define WITH_FP4\n" .. PRELUDE .. "BOTH bits_t value(unsigned u, int which) {\n" .. INPUTS ..
    "  switch (which) {\n" .. table.concat(text) .. "  }\n  return 0;\n}\n"
  local host = write("host.cpp", "#define BOTH inline\n" .. body .. [[
#include <stdio.h>
int main(int argc, char **argv) {
  FILE *o = fopen(argv[1], "wb");
  for (int k = 0; k < ]] .. #list .. [[; k++)
    for (unsigned u = 0; u < 65536; u++) { bits_t x = value(u, k); fwrite(&x, 8, 1, o); }
  return fclose(o);
}]])
  local built = os.execute(("g++ -std=c++17 -O1 -w -ffp-contract=off -I%s/include %s -o %s/host > %s/log 2>&1"):format(
    opt.toolkit, host, work, work))
  if built ~= 0 and built ~= true then error(io.open(work .. "/log"):read(1000)) end
  os.execute(("%s/host %s/values"):format(work, work))
  local module = device:compile{text = "#define BOTH __device__\n" .. body .. [[
extern "C" __global__ void run(bits_t *out, int which) {
  unsigned u = blockIdx.x * blockDim.x + threadIdx.x;
  out[u] = value(u, which);
}]]}
  local f = io.open(work .. "/values", "rb")
  for i, e in ipairs(list) do
    local want = f:read(8 * N)
    local out = pah.zeros({N}, {dtype = "i64", device = device})
    module:launch("run", {grid = N / 256, block = 256, counters = false}, out, i - 1)
    local got = out:to "cpu"
    local a, b = ffi.cast("const uint64_t *", want), ffi.cast("uint64_t *", got:data())
    local count, first = 0, nil
    for u = 0, N - 1 do
      if a[u] ~= b[u] then count, first = count + 1, first or u end
    end
    if count > 0 then
      fail("%-60s %5d differ, first of code 0x%04x: %s, the toolkit has %s", e, count, first,
        bit.tohex(b[first], 16), bit.tohex(a[first], 16))
    end
  end
  f:close()
end

for first = 1, #all, 100 do
  local list = {}
  for i = first, math.min(first + 99, #all) do list[#list + 1] = all[i] end
  compare(list)
end
print(("%d expressions of %d inputs compared"):format(#all, N))
os.execute("rm -r " .. work)
os.exit(failures == 0 and 0 or 1)
