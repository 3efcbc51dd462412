/* cuda/context.c - the context of a cuda device: made current before any call, and lost to this process by an error of
 * a running kernel. Read next: state.h, watch.c. */
#include <stdio.h>

#include "error.h"
#include "state.h"

/* 700 to 719 but the few among them that leave the context as it is: errors of running kernels. */
static int ends_context(CUresult error) {
  return (error >= 700 && error <= 720 && error != 701 && error != 704 && error != 705 && error != 708 &&
          error != 711 && error != 712 && error != 713) ||
         error == 214 /* ECC */ || error == 46 /* device unavailable */ || error == 999 /* unknown */;
}

int cuda_fail(struct pah_device *dev, CUresult error, const char *call, const char *what) {
  struct cuda_state *s = dev->state;
  char text[200];
  cuda_error_text(error, text, sizeof text);
  if (ends_context(error)) {
    const char *kernel = *s->open.kernel ? s->open.kernel : "none";
    snprintf(s->lost, sizeof s->lost, "%s in kernel %s or one launched before it", text, what ? what : kernel);
    return pah_fail(PAH_EDEVICE, "%s: %s (seen by %s); the device is lost to this process", dev->info.name, s->lost,
                    call);
  }
  return pah_fail(error == CUDA_ERROR_OUT_OF_MEMORY ? PAH_ENOMEM : PAH_EDEVICE, "%s: %s%s%s: %s", dev->info.name, call,
                  what ? " " : "", what ? what : "", text);
}

int cuda_enter(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  if (*s->lost) return pah_fail(PAH_EDEVICE, "%s: is lost to this process: %s", dev->info.name, s->lost);
  CUresult r = cu.cuCtxSetCurrent(s->context);
  return r ? cuda_fail(dev, r, "cuCtxSetCurrent", NULL) : PAH_OK;
}
