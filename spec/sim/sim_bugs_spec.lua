-- sim_bugs_spec.lua - the honesty of the simulator: planted mistakes, each found in every schedule with its code at a
-- line marked with its name, and the twin without the mistake never accused. The mistakes of
-- asynchronous copies, mbarriers, fences and wgmma are in ptx_bugs_spec.lua and ptx_attention_spec.lua.
local DYNAMIC = 64 * 4

-- Kernel, codes that may be found (one of them must be, nothing else), launch options beside block = 64.
local bugs = {
  bugs_shared = {
    {"no_barrier", "race uninitialised"}, {"no_barrier_in_loop", "race"}, {"one_buffer_for_two", "race"},
    {"tree_without_barrier", "race"}, {"warp_synchronous", "race"}, {"no_syncwarp", "race uninitialised"},
    {"early_broadcast", "race uninitialised"}, {"transpose", "race uninitialised"}, {"histogram", "race"},
    {"atomic_then_plain", "race"}, {"scan_in_place", "race"}, {"all_write_one", "race"},
    {"reduced_then_read", "race"},
    {"empty_tail", "uninitialised"}, {"dynamic_not_filled", "uninitialised", {shared = DYNAMIC}},
    {"counter_not_zeroed", "uninitialised"}, {"past_the_array", "array-bounds out-of-bounds"},
    {"past_the_dynamic", "out-of-bounds", {shared = DYNAMIC}},
    {"wide_and_misaligned", "misaligned"},
  },
  bugs_global = {
    {"blocks_write_one", "race", {grid = 4}}, {"tiles_overlap", "race", {grid = 4}},
    {"plain_counter", "race", {grid = 4}}, {"no_threadfence", "race", {grid = 4}},
    {"neighbour_of_another_block", "race", {grid = 4}}, {"stencil_in_place", "race"},
    {"atomic_and_plain", "race", {grid = 4}}, {"lock_without_fence", "race", {grid = 4}},
    {"flag_without_fence", "race uninitialised", {grid = 2, in_order = true}}, {"never_written", "uninitialised"},
    {"adds_to_an_empty_result", "uninitialised"}, {"slots_past_the_length", "uninitialised"},
    {"one_too_many", "out-of-bounds"}, {"no_guard", "out-of-bounds", {grid = 5}},
    {"before_the_start", "out-of-bounds"}, {"block_id_out_of_range", "out-of-bounds bad-address"},
    {"row_of_the_table_overrun", "out-of-bounds"}, {"offset_overflows", "out-of-bounds bad-address"},
    {"wrong_stride", "out-of-bounds uninitialised"}, {"swapped_indices", "out-of-bounds"},
    {"null_pointer", "bad-address"}, {"wild_pointer", "bad-address"}, {"misaligned_vector", "misaligned"},
    {"misaligned_pair", "misaligned"}, {"shared_address_as_global", "bad-address out-of-bounds"},
  },
  bugs_sync = {
    {"barrier_in_a_branch", "barrier-exited"}, {"return_before_barrier", "barrier-exited"},
    {"different_trips", "barrier-exited"}, {"two_barriers", "barrier-divergence barrier-exited"},
    {"break_before_barrier", "barrier-exited"}, {"vote_in_a_branch", "barrier-exited"},
    {"syncwarp_without_oneself", "warp-mask"}, {"ballot_in_a_branch", "warp-divergence deadlock"},
    {"shuffle_in_a_branch", "warp-divergence deadlock"}, {"reduce_with_different_masks", "warp-divergence deadlock"},
    {"tile_sync_missing", "race uninitialised"}, {"flag_never_set", "time-limit livelock", {limit = 1}},
    {"endless_loop", "time-limit", {limit = 1}},
    {"waits_for_a_later_block", "time-limit livelock", {grid = 2, limit = 1}}, {"traps", "trap"},
    {"asserts", "assert"},
  },
  bugs_lanes = {
    {"mask_names_exited", "warp-exited"}, {"vote_of_exited", "warp-exited"}, {"syncwarp_of_exited", "warp-exited"},
    {"lane_outside_the_mask", "warp-absent"}, {"tree_too_tall", "warp-absent"}, {"shuffle_by_ptx", "warp-absent"},
    {"ldg_after_write", "read-only-written"}, {"write_after_ldg", "read-only-written"},
    {"nc_after_write", "read-only-written"}, {"block_scope", "race", {grid = 3}},
    {"block_scope_of_one", "race", {grid = 3}}, {"block_scope_by_ptx", "race", {grid = 2}},
    {"fence_of_the_block", "race", {grid = 3, zeros = true}},
  },
  ["arrays/overruns"] = {
    {"pointer", "array-bounds"}, {"pointer_that_moves", "array-bounds"}, {"to_a_function", "array-bounds"},
    {"read_by_a_function", "array-bounds"}, {"before_the_array", "array-bounds"},
    {"pointer_to_rows", "array-bounds"}, {"cast_to_a_vector", "array-bounds"}, {"cast_of_a_vector", "array-bounds"},
    {"into_the_next_member", "array-bounds"}, {"into_the_last_member", "array-bounds"},
    {"by_a_lambda", "array-bounds"}, {"from_a_reference", "array-bounds"},
    {"from_a_member_function", "array-bounds"}, {"copied_by_bytes", "array-bounds"},
    {"two_that_swap", "array-bounds"}, {"sum_of_pointer_and_index", "array-bounds"},
    {"member_in_shared", "array-bounds"}, {"returned_by_reference", "array-bounds"},
    {"argument_by_reference", "array-bounds"}, {"by_iterators", "array-bounds"},
    {"one_of_two_pointers", "array-bounds"}, {"device_variable", "out-of-bounds"}, {"none", "out-of-bounds"},
  },
}

local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

-- Lines of the file that end in the comment // name.
local function marked(file, name)
  local lines, n = {}, 0
  for line in io.lines(file) do
    n = n + 1
    if line:match("// " .. name .. "$") then lines[n] = true end
  end
  return lines
end

local why = require("spec.support.gpu.sim").why

describe("a planted mistake on sim #slow", function()
  if why then return pending(why) end
  local sim = pah.device "sim"

  local function launch(module, kernel, options, schedule)
    local g = pah.arange(256, {dtype = "i32", device = sim})
    local u = pah.empty({256}, {dtype = "i32", device = sim})
    if kernel:match "^lock_" or kernel:match "^flag_" or options and options.zeros then g:zero() end
    local o = {block = 64, on_finding = "report", schedule = schedule[1], seed = schedule[2]}
    for k, v in pairs(options or {}) do o[k] = k ~= "in_order" and k ~= "zeros" and v or nil end
    return module:launch(kernel, o, g, u, 256)
  end

  for file, list in pairs(bugs) do
    local path, module = ("spec/kernels/%s.cu"):format(file), nil
    local function compiled()
      if not module then
        local names = {}
        for _, bug in ipairs(list) do
          names[#names + 1] = bug[1] .. "<0>"
          names[#names + 1] = bug[1] .. "<1>"
        end
        module = sim:compile{source = path, kernels = names, include = {"kernels"}}
      end
      return module
    end

    for _, bug in ipairs(list) do
      local name, codes, options = bug[1], " " .. bug[2] .. " ", bug[3]
      it(name .. " is found, its twin is not accused", function()
        local lines = marked(path, name)
        assert.is_truthy(next(lines), "no line is marked")
        for i, schedule in ipairs(schedules) do
          -- A limit is waited for; thread blocks that wait for others need these to come first.
          if i > 1 and options and (options.limit or options.in_order) then break end
          do
            local report = launch(compiled(), name .. "<1>", options, schedule)
            assert.is_true(#report.findings > 0, schedule[1] .. ": nothing is found")
            local at_a_mark = false
            for _, f in ipairs(report.findings) do
              assert.is_truthy(codes:find(" " .. f.code .. " ", 1, true), report:text())
              at_a_mark = at_a_mark or lines[f.line]
            end
            assert.is_true(at_a_mark, report:text())
          end
          local twin = launch(compiled(), name .. "<0>", options, schedule)
          assert.equal(0, #twin.findings, schedule[1] .. ": " .. twin:text())
        end
      end)
    end
  end

  it("is found in memory that was freed", function()
    local module = sim:compile{text = 'extern "C" __global__ void f(int *x, int *y) { y[0] = x[0]; }'}
    local x, y = pah.ones({4}, {dtype = "i32", device = sim}), pah.zeros({4}, {dtype = "i32", device = sim})
    local pointer = x:data()
    assert.equal(0, #module:launch("f", {on_finding = "report"}, pointer, y).findings)
    x:free()
    assert.equal("use-after-free", module:launch("f", {on_finding = "report"}, pointer, y).findings[1].code)
  end)

  it("is refused as too much shared memory", function()
    local module = sim:compile{text = [[
      extern "C" __global__ void f(int *x) { __shared__ int s[20000]; s[threadIdx.x] = 0; x[0] = s[0]; }
      extern "C" __global__ void d(int *x) { extern __shared__ int s[]; s[threadIdx.x] = 0; x[0] = s[0]; }]]}
    local x = pah.zeros({4}, {dtype = "i32", device = sim})
    local ok, words = pcall(module.launch, module, "f", {}, x)
    assert.is_falsy(ok)
    assert.is_truthy(tostring(words):find("too-much-shared", 1, true), tostring(words))
    ok, words = pcall(module.launch, module, "d", {shared = 170 * 1024}, x)
    assert.is_falsy(ok)
    assert.is_truthy(tostring(words):find("too-much-shared", 1, true), tostring(words))
  end)
end)
