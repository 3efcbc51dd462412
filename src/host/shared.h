/* shared.h - memory that a worker (lua/pah/worker) can open from a process of its own. One of the interface headers
 * (INTERFACE in Makefile.am). Read next: shared.c, src/cuda/share.c. */
#ifndef PAH_SHARED_H
#define PAH_SHARED_H

#include "pah.h"

/* On cuda memory of the GPU, elsewhere of the host; nothing has a name in a file system, so nothing is left behind when
 * a process is killed. PAH_EUNSUPPORTED where the driver gives no handle for another process. */
struct pah_shared; /* opaque: shared.c; holds a reference on its device */
int pah_shared_new(struct pah_device *device, int64_t bytes, struct pah_shared **shared);
void *pah_shared_data(const struct pah_shared *shared);
/* What the other process opens: "/proc/PID/fd/N" of the host, else the 128 hexadecimal digits of a CUDA IPC handle. */
const char *pah_shared_name(const struct pah_shared *shared);
void pah_shared_free(struct pah_shared *shared);

#endif
