/* share.c - memory of a GPU for another process: by cuMemAlloc, since the driver gives no CUDA IPC handle for what
 * comes from a pool as tensors do. Read next: src/host/shared.c, lua/pah/worker/init.lua. */
#include "error.h"
#include "state.h"

_Static_assert(sizeof(struct cuda_ipc_handle) == PAH_SHARE_HANDLE, "the handle of CUDA IPC has 64 bytes");

int cuda_share(struct pah_device *dev, int64_t bytes, void **data, unsigned char *handle) {
  CUdeviceptr at = 0;
  struct cuda_ipc_handle h;
  if (!cu.cuMemAlloc_v2 || !cu.cuMemFree_v2 || !cu.cuIpcGetMemHandle)
    return pah_fail(PAH_EUNSUPPORTED, "shared: this driver has no CUDA IPC");
  int status = cuda_enter(dev);
  if (status) return status;
  CUresult r = cu.cuMemAlloc_v2(&at, (size_t)bytes);
  if (r) return cuda_fail(dev, r, "cuMemAlloc", NULL);
  r = cu.cuIpcGetMemHandle(&h, at);
  if (r) { /* refused in some containers */
    char text[200];
    cu.cuMemFree_v2(at);
    return pah_fail(PAH_EUNSUPPORTED, "shared: cuIpcGetMemHandle: %s", cuda_error_text(r, text, sizeof text));
  }
  for (int i = 0; i < PAH_SHARE_HANDLE; i++) handle[i] = h.bytes[i];
  *data = (void *)(uintptr_t)at;
  return PAH_OK;
}

void cuda_unshare(struct pah_device *dev, void *data) {
  struct cuda_state *s = dev->state;
  if (*s->lost) return; /* goes with the context */
  cu.cuCtxSetCurrent(s->context);
  cu.cuStreamSynchronize(s->stream); /* a copy from or to it may not be done */
  cu.cuMemFree_v2((CUdeviceptr)(uintptr_t)data);
}
