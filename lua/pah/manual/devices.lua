-- devices.lua - manual: devices and what they are asked.
return {
  {class = "Device", "where tensors live and kernels run: `cpu`, `sim` (a simulated GPU) or `cuda`"},
  {"pah.device(name?: device) -> Device", [[
    `"cpu"`, `"cpu:avx2"` (the kernels of that instruction set, one that `pah info` lists as usable, so that two
    can be compared in one run; its tensors are host memory too, but belong to that device), `"sim"`,
    `"sim:sm_90a"`, `"cuda"`, `"cuda:1"`, `"cuda:sm_90a"` (no GPU: compiles only); without a name `$PAH_DEVICE`,
    else cuda if it is usable, else cpu. Raises the reason when it is not usable]],
    example = 'local dev = pah.device "cpu"\nprint(dev.name, dev:info().threads)'},
  {"pah.devices() -> table[]", "list of `{name=, usable=, why=}`",
    example = "for _, d in ipairs(pah.devices()) do print(d.name, d.usable, d.why) end"},
  {"Device.name: string", "as opened: `\"cpu\"`"},
  {"Device:info() -> table", [[
    `name`, `model`, `arch`, `isa`, `pci` (of a GPU: its place on the bus), `threads`, `sms`, `bytes`, `cache_bytes`,
    `clock_hz`, `host_memory`]],
    example = 'pah.device("cpu"):info().model'},
  {"Device:memory() -> table", [[
    `bytes` and `buffers` allocated now, `peak_bytes`, and beside them `scratch_bytes`, which the cpu kernels
    hold for the next call]], example = 'pah.device("cpu"):memory().bytes'},
  {"Device:synchronize()", "waits until everything called so far is done", example = 'pah.device("cpu"):synchronize()'},
  {"Device:event() -> Event", "a moment in the order of the device's work",
    example = 'local dev = pah.device "cpu"\nlocal before = dev:event()\nprint(dev:event():since(before))'},
  {"Device:graph(fn: function) -> Graph", [[
    cuda: the launches that `fn()` makes, recorded; `fn` is called twice, and nothing but launches may be in it: see
    [cuda.md](cuda.md#graphs)]],
    example = 'local dev = pah.device "cpu"\nprint(pcall(dev.graph, dev, function() end)) -- only cuda has graphs'},
  {"Device:set(args: DeviceSettings)", "settings until they are set again; see [cuda.md](cuda.md) and [sim.md](sim.md)",
    example = 'pah.device("sim"):set{schedule = "random", seed = 3}'},
  {record = "DeviceSettings", "settings of a device", fields = [[
    schedule?: "order"|"reverse"|"random"  sim: the order of threads, in launches that do not say otherwise
    seed?: integer            sim: of the random schedule
    limit?: number            sim, cuda: seconds until a launch is stopped
    counters?: boolean        sim: whether launches of modules are counted
    processors?: integer      sim: that run the thread blocks of a launch of more than 10 ms; default: all
    tensor_kernels?: boolean  sim: work on tensors is simulated too (default false)
    check?: boolean           cuda: a kernel checks block tables, lengths and slots before they are used (default true);
      false leaves that out, for timing]]},
  {class = "Graph", "launches that are recorded, to be started together"},
  {"Graph:launch()", "starts them again, in their order, at little cost for the host",
    example = 'local dev = pah.device "cpu"\nlocal ok, g = pcall(dev.graph, dev, function() end)\n'
      .. 'if ok then g:launch() end'},
  {"Graph.launches: integer", "how many"},
  {class = "Event", "a moment in the order of a device's work"},
  {"Event:since(earlier: Event) -> number", [[
    waits for both; the seconds between them, by the GPU's own clock on cuda, the host's elsewhere]],
    example = 'local a = pah.device("cpu"):event()\nprint(pah.device("cpu"):event():since(a))'},
}
