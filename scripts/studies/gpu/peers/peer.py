"""peer.py - what the scripts beside it share that time other libraries on a GPU: the libraries or a line that says what
to install, element types, and times as forward.lua and backward.lua take them."""
import importlib
import itertools
import os
import sys


def load(*names):
    """PyTorch and what else is named; ends the script where they or a GPU are missing."""
    script = os.path.basename(sys.argv[0])
    try:
        modules = [importlib.import_module(name) for name in ("torch",) + names]
    except ImportError as missing:
        packages = " ".join(("torch",) + tuple(f"{name}-python" for name in names))
        sys.exit(f"{script}: {missing}; pip install {packages}")
    global torch, device, dirty, DTYPES
    torch = modules[0]
    if not torch.cuda.is_available():
        sys.exit(f"{script}: PyTorch sees no GPU")
    torch.manual_seed(1)
    device = torch.device("cuda")
    dirty = torch.empty(256 << 20, dtype=torch.uint8, device=device)
    DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "fp8_e4m3": torch.float8_e4m3fn,
              "fp8_e5m2": torch.float8_e5m2}
    return modules if names else torch


def timed(call, flushes=1):
    """The events around a call behind 256 MB that are written `flushes` times: the L2 is cold."""
    first, last = torch.cuda.Event(True), torch.cuda.Event(True)
    for _ in range(flushes):
        dirty.zero_()
    first.record()
    call()
    last.record()
    return first, last


def seconds(call, budget=0.12):
    """Median and least time of a call: of 7 to 60, until they are `budget` seconds together."""
    for _ in range(2):
        call()
    times = []
    while len(times) < 7 or len(times) < 60 and sum(times) < budget:
        first, last = timed(call)
        torch.cuda.synchronize()
        times.append(first.elapsed_time(last) / 1e3)
    times.sort()
    return times[len(times) // 2], times[0]


def ints(values):
    return torch.tensor(values, dtype=torch.int32, device=device)


def sums(counts):
    """Prefix sums from 0."""
    return ints([0] + list(itertools.accumulate(counts)))
