"""pah_worker.py - the other side of pah.worker: serves attention calls of a Python kernel.

    import pah_worker

    def decode(a, case):            # fills a.out and a.lse
        ...

    pah_worker.serve(decode=decode)                # NumPy arrays; torch=True: tensors of PyTorch

`a` has the named arguments of pah.decode, pah.fwd, ... (a.q, a.k_blocks, a.block_table, a.softmax_scale, ...); what is
not given is None. NumPy has no bf16 and no fp8: those arrays hold the codes (uint16, uint8); pah_worker.f32(a, "q")
gives numbers and pah_worker.store(a, "out", x) rounds them. A function that cannot do a call raises
pah_worker.Pending(why). One marked @pah_worker.prepares makes its plan and returns the call itself, which alone is
timed. Needs NumPy; PyTorch for tensors on a GPU. Protocol: doc/judging.md. Read next: init.lua beside this file.
"""

import json
import mmap
import os
import socket
import sys
import time
import traceback

PROTOCOL = 1
_FD = 3


def _open():
    try:
        link = socket.socket(fileno=_FD)
    except OSError:
        sys.exit("pah_worker: file 3 is no socket: this program is started by pah.worker{command=...}")
    link.set_inheritable(False)
    return link


def refuse(why):
    """Ends a worker that cannot serve here, such as for want of a library: `why` is what pah says."""
    _open().sendall((json.dumps({"error": why, "fatal": True}) + "\n").encode())
    sys.exit(0)


try:
    import numpy as np
except ImportError as missing:
    refuse("%s (pip install numpy, or Debian's python3-numpy)" % missing)

import pah_clock

_NUMPY = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": np.uint16, "fp8_e4m3": np.uint8,
          "fp8_e5m2": np.uint8, "i32": np.int32, "i64": np.int64, "u8": np.uint8}


class Arguments:
    """The arguments of a call by name; what is absent is None."""

    def __init__(self, values, dtypes):
        self.__dict__.update(values)
        self.dtypes = dtypes  # of the tensors, as pah names them

    def __getattr__(self, name):  # only for what is not there
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class Pending(Exception):
    """Raised by a function that does not do such a call: the case is pending, not failed."""


def prepares(function):
    """Marks f(a, case) as one that makes ready and returns the call: run, or (run, finish). Only run() is timed;
    finish(what run returned) puts the result into a.out and a.lse, where run() has not."""
    function.prepares = True
    return function


# ---- Numbers that NumPy does not know ---------------------------------------------------------------------------


def _table(exponent_bits, mantissa_bits, fn):
    """All 256 values of an fp8 format."""
    bias, top = 2 ** (exponent_bits - 1) - 1, 2 ** exponent_bits - 1
    out = np.zeros(256, np.float32)
    for code in range(256):
        m, e = code & (2 ** mantissa_bits - 1), code >> mantissa_bits & top
        if e == top and not fn:
            x = np.nan if m else np.inf
        elif fn and code & 127 == 127:
            x = np.nan
        elif e == 0:
            x = m * 2.0 ** (1 - bias - mantissa_bits)
        else:
            x = (1 + m / 2 ** mantissa_bits) * 2.0 ** (e - bias)
        out[code] = -x if code & 128 else x
    return out


_FP8 = {"fp8_e4m3": _table(4, 3, True), "fp8_e5m2": _table(5, 2, False)}


def f32(a, name):
    """Argument `name` as float32 numbers, whatever its dtype."""
    x, dtype = getattr(a, name), a.dtypes[name]
    if dtype == "bf16":
        return (x.astype(np.uint32) << 16).view(np.float32)
    if dtype in _FP8:
        return _FP8[dtype][x]
    return x.astype(np.float32)


def store(a, name, x):
    """Writes numbers into argument `name`, rounded to nearest even to its dtype (fp8: and saturated)."""
    to, dtype = getattr(a, name), a.dtypes[name]
    x = np.asarray(x, np.float32)
    if dtype == "bf16":
        bits = np.ascontiguousarray(x).view(np.uint32)
        rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
        to[...] = np.where(np.isnan(x), 0x7FC0, rounded).astype(np.uint16)
    elif dtype in _FP8:
        values = _FP8[dtype]
        codes = np.argsort(values[:128], kind="stable")
        codes = codes[np.isfinite(values[codes])]
        known, size = values[codes], np.abs(np.where(np.isnan(x), 0, x))
        above = np.clip(np.searchsorted(known, size), 1, len(known) - 1)
        low, high = known[above - 1], known[above]
        even = codes[above] % 2 == 0
        up = (size - low > high - size) | ((size - low == high - size) & even)
        code = np.where(up, codes[above], codes[above - 1]) | np.where(np.signbit(x), 128, 0)
        to[...] = np.where(np.isnan(x), 127, code).astype(np.uint8)
    else:
        to[...] = x


# ---- Memory -----------------------------------------------------------------------------------------------------


class _Memory:
    """The memory of the arena, open for as long as its name stays the same."""

    def __init__(self):
        self.key = self.map = self.buffer = None

    def open(self, memory):
        key = (memory["name"], memory["bytes"])
        if key != self.key:
            self.key, self.buffer = key, None
            if memory["kind"] == "cuda":
                self.map = _open_cuda(memory["name"], memory["bytes"])
            else:
                fd = os.open(memory["name"], os.O_RDWR | os.O_CLOEXEC)
                try:
                    self.map = mmap.mmap(fd, memory["bytes"])
                finally:
                    os.close(fd)
                self.buffer = np.frombuffer(self.map, np.uint8)
        return self.buffer if self.buffer is not None else self.map


def _open_cuda(handle, size):
    """A uint8 tensor of PyTorch over memory that pah shares by CUDA IPC."""
    import ctypes
    import torch

    torch.cuda.current_stream().synchronize()  # the primary context is current now

    class Handle(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_ubyte * 64)]

    cuda, at = ctypes.CDLL("libcuda.so.1"), ctypes.c_uint64()
    given = Handle()
    given.bytes[:] = bytes.fromhex(handle)
    code = cuda.cuIpcOpenMemHandle_v2(ctypes.byref(at), given, ctypes.c_uint(1))
    if code:
        raise RuntimeError("cuIpcOpenMemHandle gives error %d" % code)

    class Memory:
        __cuda_array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (at.value, False), "version": 3}

    return torch.as_tensor(Memory(), device="cuda")


def _numpy(buffer, t):
    dtype = np.dtype(_NUMPY[t["dtype"]])
    if 0 in t["shape"]:
        return np.zeros(t["shape"], dtype)
    span = 1 + sum((n - 1) * s for n, s in zip(t["shape"], t["strides"]))
    flat = buffer[t["offset"]:t["offset"] + span * dtype.itemsize].view(dtype)
    return np.lib.stride_tricks.as_strided(flat, t["shape"], [s * dtype.itemsize for s in t["strides"]])


def _torch(buffer, t):
    import torch

    types = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16,
             "i32": torch.int32, "i64": torch.int64, "u8": torch.uint8,
             "fp8_e4m3": getattr(torch, "float8_e4m3fn", None), "fp8_e5m2": getattr(torch, "float8_e5m2", None)}
    dtype = types[t["dtype"]]
    if dtype is None:
        raise RuntimeError("this PyTorch has no " + t["dtype"])
    if isinstance(buffer, np.ndarray):
        buffer = torch.from_numpy(buffer)
    if 0 in t["shape"]:
        return torch.zeros(t["shape"], dtype=dtype, device=buffer.device)
    span = 1 + sum((n - 1) * s for n, s in zip(t["shape"], t["strides"]))
    flat = buffer[t["offset"]:t["offset"] + span * torch.empty(0, dtype=dtype).element_size()].view(dtype)
    return flat.as_strided(t["shape"], t["strides"])


# ---- Calls ------------------------------------------------------------------------------------------------------


class _Server:
    def __init__(self, functions, use_torch):
        self.functions, self.use_torch, self.memory, self.clock = functions, use_torch, _Memory(), None
        self.known = {}

    def answer(self, message):
        op = message["call"]
        function = self.functions.get(op)
        if function is None:
            raise RuntimeError("serves %s, not %s" % (", ".join(sorted(self.functions)), op))
        memory, on_gpu = message["memory"], bool(message["memory"].get("gpu"))
        if on_gpu and not self.use_torch:
            raise RuntimeError("tensors are on a GPU: pah_worker.serve(..., torch=True) is needed")
        shapes = tuple((name, *t["shape"]) for name, t in sorted(dict(message["tensors"]).items()))
        key, buffer, copied = (on_gpu, op, shapes), self.memory.open(memory), None
        if on_gpu and memory["kind"] == "host":  # no CUDA IPC here: one copy there, one back
            import torch

            copied = torch.from_numpy(buffer)
            buffer = copied.to("cuda")
        make = _torch if self.use_torch else _numpy
        tensors = {name: make(buffer, t) for name, t in dict(message["tensors"]).items()}
        values = dict(message.get("values") or {})
        a = Arguments({**values, **tensors}, {name: t["dtype"] for name, t in dict(message["tensors"]).items()})
        case, how, reply = dict(message.get("case") or {}), message.get("time"), {"ok": True}
        call, finish = _call_of(function, a, case)
        result = self.timed(call, how, reply, a, key) if how else call()
        if finish is not None:
            finish(result)
        if on_gpu:
            import torch

            torch.cuda.synchronize()
            if copied is not None:
                copied.copy_(buffer)
        return reply

    def timed(self, call, how, reply, a, key):
        """Times calls into `reply` and returns what the last one gave."""
        on_gpu, given = key[0], []
        if self.clock is None or self.clock.gpu != on_gpu:
            self.clock = pah_clock.Clock(on_gpu)

        def kept():
            given[:] = [call()]

        if self.use_torch and key not in self.known:
            import torch

            self.known[key] = pah_clock.kernels(torch, kept, on_gpu)
        _spoil(key[1], a)
        if how.get("cold") and not on_gpu:
            self.clock.flush(int(how["flush_bytes"]))
        cpu = time.process_time()
        reply["seconds"], late = self.clock.measure(kept, how)
        reply["cpu"] = (time.process_time() - cpu) / how["calls"]
        if late:
            reply["late"] = True
        reply["kernels"] = self.known.get(key, [])
        return given[0]


_RESULTS = {"bwd": ("dq", "dk_blocks", "dv_blocks", "dsinks")}


def _spoil(op, a):
    """NaN into the results that a call was given: what stands there after it is its own."""
    for name in _RESULTS.get(op, ("out", "lse")):
        value = getattr(a, name)
        if isinstance(value, np.ndarray):
            store(a, name, np.full(value.shape, np.nan, np.float32))
        elif value is not None and a.dtypes[name] in _FP8:
            import torch

            value.view(torch.uint8).fill_(127)
        elif value is not None:
            value.fill_(float("nan"))


def _call_of(function, a, case):
    """The call that is timed, and what is to be done with its result, or None."""
    if not getattr(function, "prepares", False):
        return (lambda: function(a, case)), None
    made = function(a, case)
    return made if isinstance(made, tuple) else (made, None)


def _printed(out):
    """What was printed to stdout since the last look, or nothing: stdout is no place for anything here."""
    sys.stdout.flush()
    size = os.lseek(out, 0, os.SEEK_END)
    if not size:
        return None
    text = os.pread(out, min(size, 200), 0).decode("utf-8", "replace")
    os.ftruncate(out, 0)
    os.lseek(out, 0, os.SEEK_SET)
    return "it printed to stdout, which must stay empty (print to stderr): %r" % text.strip()


def _told(error):
    """An exception with the line of the kernel's own file that raised it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    where = " (%s:%d)" % (os.path.basename(frames[-1].filename), frames[-1].lineno) if frames else ""
    return "%s: %s%s" % (type(error).__name__, error, where)


def _catch_stdout():
    out = os.memfd_create("stdout")
    os.dup2(out, 1)
    return out


_out = _catch_stdout() if os.environ.get("PAH_WORKER") else None  # before the kernel's file goes on


def serve(functions=None, torch=False, **named):
    """Answers calls until pah ends: serve(decode=f, fwd=g). torch=True: tensors are PyTorch's, on the GPU where
    pah's are."""
    functions, link = dict(functions or {}, **named), _open()
    lines, server = link.makefile("r", encoding="utf-8"), _Server(functions, torch)

    def send(message):
        link.sendall((json.dumps(message) + "\n").encode())

    versions = {"python": sys.version.split()[0], "numpy": np.__version__}
    if torch:
        import torch as library

        versions["torch"] = library.__version__
    versions.update(getattr(sys.modules.get("__main__"), "VERSIONS", {}))
    said = _printed(_out) if _out is not None else None
    send({"error": said} if said else {"ready": PROTOCOL, "ops": sorted(functions), "versions": versions})
    for line in lines:
        message = json.loads(line)
        if message.get("end"):
            break
        try:
            reply = server.answer(message)
        except Pending as why:
            reply = {"pending": str(why)}
        except Exception as error:  # the kernel's own: told, and the next call is served
            reply = {"error": _told(error)}
        said = _printed(_out) if _out is not None else None
        send({"error": said} if said else reply)
