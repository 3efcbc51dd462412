"""broken_worker.py - a kernel whose ways to fail are operations: the specs of pah.worker call each."""
import os
import sys
import time

import pah_worker

VERSIONS = {"broken": "1.0"}


def right(a, case):
    a.out[...] = 2 * a.q
    a.lse[...] = len(case)


def prints(a, case):
    right(a, case)
    print("hello")


def prints_to_stderr(a, case):
    right(a, case)
    print("a word on stderr", file=sys.stderr)


def raises(a, case):
    raise ValueError("no such option")


def dies(a, case):
    os._exit(9)


def sleeps(a, case):
    time.sleep(60)


def takes_long(a, case):
    right(a, case)
    time.sleep(0.02)


def writes_beside(a, case):
    right(a, case)
    whole = a.out.base
    while whole.base is not None and hasattr(whole.base, "base"):
        whole = whole.base
    at = (a.out.__array_interface__["data"][0] - whole.__array_interface__["data"][0]) + a.out.nbytes
    whole[at] = 1


@pah_worker.prepares
def prepares(a, case):
    time.sleep(0.05)
    made = 2 * a.q
    return (lambda: made), lambda out: right(a, case) if out is made else None


@pah_worker.prepares
def prepares_all(a, case):
    right(a, case)
    return lambda: None


def does_not(a, case):
    raise pah_worker.Pending("not on a Monday")


pah_worker.serve(right=right, prints=prints, prints_to_stderr=prints_to_stderr, raises=raises, dies=dies, sleeps=sleeps,
                 takes_long=takes_long, writes_beside=writes_beside, prepares=prepares, prepares_all=prepares_all,
                 does_not=does_not)
