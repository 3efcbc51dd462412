"""pah_clock.py - seconds of a call in a worker: by events of the GPU where its tensors are, else by the clock; caches
made cold; names of what the call launched. A GPU gets the events and the call behind a pause, so that it does not wait
for the host between them. Read next: pah_worker.py beside this file.
"""

import os
import re
import time
import warnings

import numpy as np

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # PyTorch's profiler: nothing on stderr

PAUSE = 500_000  # cycles of a GPU's clock, about 0.3 ms: longer than a host takes to launch most calls


class Clock:
    """Seconds of calls, by events of the GPU where the tensors are there; and caches made cold."""

    def __init__(self, gpu):
        self.gpu, self.scratch = gpu, None
        if gpu:
            import torch

            self.torch = torch

    def flush(self, size):
        """Writes, then reads more than the caches hold, so that no dirty line is left."""
        if self.scratch is None:
            if self.gpu:
                self.scratch = self.torch.zeros(size // 4, dtype=self.torch.float32, device="cuda")
            else:
                self.scratch = np.zeros(size // 4, np.float32)
        self.scratch += 1
        self.scratch.sum()

    def measure(self, call, how):
        """Seconds of one of how["calls"] calls, and whether the GPU had to wait for the host between the events. It
        gets the events and the calls behind a pause and, cold, the flush, so that it need not."""
        calls = int(how["calls"])
        if not self.gpu:
            start = time.perf_counter()
            for _ in range(calls):
                call()
            return (time.perf_counter() - start) / calls, False
        cuda, pause = self.torch.cuda, PAUSE
        while True:
            first, last = cuda.Event(True), cuda.Event(True)
            cuda.synchronize()
            cuda._sleep(pause)
            if how.get("cold"):
                self.flush(int(how["flush_bytes"]))
            first.record()
            for _ in range(calls):
                call()
            late = first.query()
            last.record()
            last.synchronize()
            if not late or pause >= 16 * PAUSE:
                return first.elapsed_time(last) / 1e3 / calls, late
            pause *= 4


def kernels(torch, call, on_gpu):
    """Names of what a call launches: kernels of the GPU without their parameters; on the cpu operators of attention."""
    activity = torch.profiler.ProfilerActivity
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.profiler.profile(activities=[activity.CUDA if on_gpu else activity.CPU]) as profile:
            call()
            if on_gpu:
                torch.cuda.synchronize()
        events = profile.key_averages()
    if not on_gpu:
        return sorted({event.key for event in events if "attention" in event.key})
    names = {event.key for event in events if str(event.device_type).endswith("CUDA")}
    return sorted(re.sub(r"^void ", "", re.split(r"[<(]", name.replace("(anonymous namespace)::", ""))[0])
                  for name in names if name != "Activity Buffer Request")
