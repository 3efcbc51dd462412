-- info.lua - what `pah info` says: the program, its devices, the processor and, when asked, its measured limits.
local ffi = require "ffi"
local binding = require "pah.ffi"
local columns = require "pah.util.columns"
local devices = require "pah.device"
local files = require "pah.util.whole_file"
local host = require "pah.host"
local peaks = require "pah.measure.peaks"
local units = require "pah.util.units"
local C = binding.C

local M = {}

local function instruction_sets(chosen)
  local list, i = {}, 0
  while C.pah_isa_name(i) ~= nil do
    local name = ffi.string(C.pah_isa_name(i))
    local usable = C.pah_isa_usable(name)
    list[i + 1] = {name = name, usable = usable ~= 0, emulated = usable == 2, chosen = name == chosen}
    i = i + 1
  end
  return list
end

-- What the generic kernels are compiled to: what every processor of the architecture has.
local GENERIC = {x64 = " (SSE2)", arm64 = " (NEON)"}

local function available_bytes()
  local kib = (files.read "/proc/meminfo" or ""):match "MemAvailable:%s*(%d+)"
  return kib and tonumber(kib) * 1024
end

--- The facts as a table that JSON can hold; with `with_peaks` true its peaks are measured too (a few seconds).
function M.collect(with_peaks)
  local cpu = devices.get("cpu"):info()
  return {
    version = host.version, commit = host.commit, compiler = host.compiler, luajit = jit.version, os = jit.os,
    arch = jit.arch, program = host.exe, data = host.datadir,
    cpu = {
      model = cpu.model, threads = cpu.threads, cache_bytes = cpu.cache_bytes, memory_bytes = cpu.bytes,
      available_bytes = available_bytes(), instruction_sets = instruction_sets(cpu.isa),
    },
    devices = devices.devices(),
    limits = with_peaks and peaks.collect "cpu" or nil,
  }
end

local function size(bytes) return units.text("B", bytes) end

local function line(name, format, ...)
  print(("%-18s" .. format):format(name, ...))
end

--- Prints the table of M.collect for people.
function M.print(facts)
  local cpu = facts.cpu
  line("pah", "%s%s", facts.version, facts.commit and ", commit " .. facts.commit or "")
  line("compiler", "%s", facts.compiler)
  line("LuaJIT", "%s, %s %s, compiler %s", facts.luajit:gsub("^LuaJIT ", ""), facts.os, facts.arch,
    jit.status() and "on" or "off")
  line("program", "%s", facts.program)
  line("Lua files", "%s/lua", facts.data)
  line("processor", "%s", cpu.model)
  line("threads", "%d", cpu.threads)
  line("last-level cache", "%s", cpu.cache_bytes > 0 and size(cpu.cache_bytes) or "not known")
  line("memory", "%s%s", size(cpu.memory_bytes),
    cpu.available_bytes and (", %s available"):format(size(cpu.available_bytes)) or "")
  for i, isa in ipairs(cpu.instruction_sets) do
    line(i == 1 and "instruction sets" or "", "%-11s%s%s", isa.name,
      isa.chosen and "chosen" or isa.emulated and "emulated" or isa.usable and "usable" or "not on this processor",
      isa.name == "generic" and GENERIC[facts.arch] or "")
  end
  for i, device in ipairs(facts.devices) do
    local why = device.why and device.why:gsub("^%w+ is not usable because ", "")
    local head = ("%-18s%-11s"):format(i == 1 and "devices" or "", device.name)
    print(columns.wrapped(head, device.usable and "usable" or "not usable: " .. why, 80))
  end
  if not facts.limits then return end
  local found = facts.limits
  line("limits", "%.1f GFLOP/s f32 multiply-add, %.1f of bf16", found.fma_flops_per_second.f32 / 1e9,
    found.fma_flops_per_second.bf16 / 1e9)
  line("", "%.1f GB/s read from memory in order, %.1f by shuffled blocks of %s", found.read_bytes_per_second / 1e9,
    found.shuffled_read_bytes_per_second / 1e9, size(found.block_bytes))
  for _, set in ipairs(found.caches) do
    line("", "%.1f GB/s read again and again: %s", set.read_bytes_per_second / 1e9, size(set.bytes))
  end
end

return M
