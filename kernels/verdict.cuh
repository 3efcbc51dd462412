/* verdict.cuh - what a check kernel (check.cu) says to the kernels of the same call, without the host: it writes the
 * call's ticket into the verdict if a rule is broken, and they, launched behind it, then leave everything as it is.
 * Every kernel that follows a block table begins with `if (refused(p.verdict, p.ticket)) return;`: a wrong block id
 * must not even be read through. The host sees the verdict when it next waits (src/gpu/verdict.c). */
#pragma once
#include "params.h"

__device__ inline bool refused(const pah_verdict *verdict, unsigned ticket) {
  return verdict && verdict->broken == ticket;
}
