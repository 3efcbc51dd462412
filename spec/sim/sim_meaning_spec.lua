-- sim_meaning_spec.lua - what C++ leaves open and PTX does not: conversions of numbers that do not fit, shifts by as
-- many bits as there are; local variables that nobody has set. And memory that is nobody's: behind shared variables and
-- those of the device, before and behind tensors; where dynamic shared memory starts.
local why = require("spec.support.gpu.sim").why

local source = [[
template <class T, class F> __device__ T to(F v) { return static_cast<T>(v); }
template <class T> struct mask { T bits; __device__ T low(int k) const { return (T(1) << k) - 1; } };
enum { FOUR = 1 << 2 };
template <int N> struct list { static constexpr int value = N >> 1; };
extern "C" __global__ void conversions(int *x, const float *f, int n) {
  float big = f[4] * 1e9f, nan = (big - big) / (big - big), v = f[100] * 3;
  x[0] = (int)big; x[1] = (int)-big; x[2] = (int)nan; x[3] = (unsigned)-big == 0u;
  x[4] = static_cast<int>(big); x[5] = int(big); int i = big; x[6] = i; unsigned u = -1.5f * n; x[7] = u;
  x[8] = (unsigned char)v; x[9] = (signed char)-v; x[10] = (long long)(f[4] * 1e30f) == 9223372036854775807LL;
  x[11] = to<int>(big); x[12] = to<unsigned>(f[4] * -1.0) == 0; x[13] = (float)(int)big == 2147483648.0f;
  x[14] = (int)f[7] + (int)-2.75f * 2; x[15] = (int)n + (int)(n > 2);
}
extern "C" __global__ void shifts(int *x, const float *f, int n) {
  unsigned one = 1, a = 3; int minus = -8, b = -1;
  x[0] = one << (n * 8); x[1] = minus >> n * 8; x[2] = 0xffffffffu >> (n * 8); x[3] = (1ull << (n * 16)) == 0;
  a <<= n * 9; x[4] = a; x[5] = one << n << n; b >>= 40 + n; x[6] = b;
  x[7] = mask<unsigned>{0}.low(n * 8) == 0xffffffffu; x[8] = mask<unsigned>{0}.low(n);
  x[9] = list<list<9>::value>::value; x[10] = FOUR << n; x[11] = (1ull << 40 >> 38) + (n < 5 >> 1);
}
__device__ float before[16]; __device__ float table[16]; __constant__ float constants[16] = {1};
__device__ void put(float *t, int i) { t[i] = 1; }
extern "C" __global__ void of_device(int *x, const float *f, int n) { put(table, n); }
extern "C" __global__ void of_constant(int *x, const float *f, int n) { const float *c = constants; x[0] = c[n]; }
extern "C" __global__ void of_shared(int *x, const float *f, int n) {
  __shared__ float first[64]; __shared__ float second[64];
  float *p = n == 1000 ? second : first;
  put(p, n);
  put(second, 0);
}
]]

local unset = [[
template <int BUG> __global__ void scalar(float *f, int n) {
  float sum;
  if (!BUG) sum = 0;
  for (int i = 0; i < n; i++) sum += f[i];
  f[64] = sum;
}
template <int BUG> __global__ void array(float *f, int n) {
  float acc[8];
  for (int i = 0; i < 8 - BUG; i++) acc[i] = 0;
  for (int k = 0; k < n; k++)
    for (int i = 0; i < 8; i++) acc[i] += f[i + k];
  for (int i = 0; i < 8; i++) f[64 + i] = acc[i];
}
template <int BUG> __global__ void branch(float *f, int n) {
  int best;
  for (int i = 0; i < n; i++)
    if (f[i] > (BUG ? 1000.f : -1.f)) best = i;
  f[64] = best;
}
struct pair { float v; int at; };
__device__ pair half_of_it(float v) { pair p; p.v = v; return p; } // a copy is no use of what is not set
template <int BUG> __global__ void member(float *f, int n) {
  pair m; float4 v;
  m.v = half_of_it(f[1]).v;
  v.x = f[0]; v.y = f[1]; v.z = f[2];
  if (!BUG) m.at = 1, v.w = 1;
  f[64] = m.v + m.at + v.x + v.w;
}
__device__ void load(const float *f, float &a, float &b, bool both) { a = f[0]; if (both) b = f[1]; }
template <int BUG> __global__ void reference(float *f, int n) {
  float a, b;
  load(f, a, b, BUG ? n > 4 : n > 3);
  f[64] = a + b;
}
__device__ void fill(float *out, bool all) { out[0] = 1; if (all) out[1] = 2; }
template <int BUG> __global__ void by_pointer(float *f, int n) {
  float v[2], w;
  fill(v, BUG ? n > 4 : n > 3);
  fill(&w, false);
  f[64] = v[0] + v[1] + w;
}
struct __align__(4) packed { short a, b; };
template <int BUG> __global__ void vectors(float *f, int n) {
  packed p[2];
  p[0].a = p[0].b = 1;
  if (!BUG) p[1] = p[0];
  packed q = p[n > 3];
  f[64] = q.a + q.b;
}
template <int BUG> __global__ void guarded(float *f, int n) { // what is not used need not be set
  float v, s, c;
  if (n > 4 - BUG) v = f[0];
  __syncthreads();
  sincosf(f[0], &s, &c);
  for (int i = 0; i < n; i++)
    if (n > 4) f[64] += v;
  switch (n) {
  case 4: float late; late = s; f[65] = late + c; break;
  default: f[66] = 1;
  }
}
]]

describe("sim", function()
  if why then return pending(why) end
  local sim = pah.device "sim"
  local module
  local function run(name, n)
    module = module or sim:compile{text = source}
    local x, f = pah.zeros({16}, {dtype = "i32", device = sim}), pah.arange(256, {dtype = "f32", device = sim})
    local report = module:launch(name, {on_finding = "report"}, x, f, n)
    return x:to("cpu"):totable(), report
  end

  it("converts as PTX does", function()
    local most, least = 2147483647, -2147483648
    local x, report = run("conversions", 4)
    assert.same({most, least, 0, 1, most, most, most, 0, 44, -44, 1, most, 1, 1, 3, 5}, x)
    assert.equal(0, #report.findings, report:text())
  end)

  it("shifts as PTX does", function()
    local x, report = run("shifts", 4)
    assert.same({0, -1, 0, 1, 0, 256, -1, 1, 15, 2, 64, 4, 0, 0, 0, 0}, x)
    assert.equal(0, #report.findings, report:text())
  end)

  it("finds local variables that nobody has set, where they are used", function()
    local names = {}
    for _, name in ipairs{"scalar", "array", "branch", "member", "reference", "by_pointer", "vectors", "guarded"} do
      names[#names + 1], names[#names + 2] = name .. "<0>", name .. "<1>"
    end
    local own = sim:compile{text = unset, kernels = names}
    for _, name in ipairs(names) do
      local report = own:launch(name, {on_finding = "report"}, pah.arange(256, {dtype = "f32", device = sim}), 4)
      local has = name:find "<1>" ~= nil and not name:find "guarded"
      assert.equal(has, #report.findings > 0, report:text())
      for _, f in ipairs(report.findings) do assert.equal("uninitialised", f.code) end
    end
  end)

  it("has nobody's memory behind variables, by whatever pointer", function()
    for name, variable in pairs{of_device = "table", of_constant = "constants", of_shared = "first"} do
      local size = name == "of_shared" and 64 or 16
      local _, report = run(name, size - 1)
      assert.equal(0, #report.findings, report:text())
      for _, n in ipairs{size, size + 7} do
        _, report = run(name, n)
        local codes = {} -- where it sees which variable is meant, the compiler has words of its own for the index
        for i, f in ipairs(report.findings) do codes[i] = f.code end
        local by_compiler = name == "of_constant" and "" or "array-bounds "
        assert.equal(by_compiler .. "out-of-bounds", table.concat(codes, " "))
        assert.is_truthy(report:text():find("variable " .. variable .. ",", 1, true), report:text())
      end
    end
  end)

  it("names the argument before whose start an index lies", function()
    local empty = pah.device "sim:sm_89" -- on one with many tensors they stand nearer to each other
    local own = empty:compile{text = [[
      extern "C" __global__ void shifted(const float *a, float *b, int n) { b[0] = a[n]; }]]}
    local a, b = pah.ones({8, 8}, {device = empty}), pah.ones({64}, {device = empty})
    for n, at in pairs{[-1] = "[-1, 7]", [-4000] = "[-500, 0]", [500000000] = "[62500000, 0]"} do
      local report = own:launch("shifted", {on_finding = "report"}, a, b, n)
      assert.equal("out-of-bounds", report.findings[1].code)
      assert.is_truthy(report:text():find("argument 1, f32 [8, 8], at " .. at, 1, true), report:text())
    end
  end)

  it("has room for thousands of tensors, however far the first ones stand apart", function()
    local many, own = {}, pah.device "sim:sm_86"
    for i = 1, 5000 do many[i] = pah.zeros({1}, {device = own}) end
    assert.equal(5000, #many)
  end)

  it("starts dynamic shared memory where static memory ends", function()
    local function start(declared, static)
      local own = sim:compile{text = ([[
        extern "C" __global__ void place(int *x) {
          %s
          extern __shared__ %s char pool[];
          pool[0] = 1;
          x[0] = (int)((unsigned)__cvta_generic_to_shared(pool) %% 1024u);
        }]]):format(static, declared)}
      local x = pah.zeros({1}, {dtype = "i32", device = sim})
      own:launch("place", {shared = 256}, x)
      return x:to("cpu"):totable()[1]
    end
    local one = "__shared__ int one[5]; one[0] = 1; x[0] = one[0];"
    assert.equal(0, start("", ""))
    assert.equal(32, start("", one))
    assert.equal(128, start("__align__(128)", one))
    assert.equal(0, start("alignas(1024)", one))
  end)

  it("takes a copy of what nobody has written for not written", function()
    local own = sim:compile{text = [[
      extern "C" __global__ void sum(const float *e, float *o) { for (int i = 0; i < 64; i++) o[0] += e[i]; }]]}
    local empty, half = pah.empty({64}, {device = sim}), pah.zeros({64}, {device = sim})
    local function codes(e)
      local report = own:launch("sum", {on_finding = "report"}, e, pah.zeros({1}, {device = sim}))
      return report.findings[1] and report.findings[1].code or ""
    end
    assert.equal("uninitialised", codes(empty:clone()))
    assert.equal("", codes(half:clone()))
    half:copy(empty)
    assert.equal("uninitialised", codes(half))
  end)
end)
