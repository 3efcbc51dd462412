/* host_code.h - a source that NVRTC does not take as it is, without what is the host's. See host_code.c. */
#ifndef PAH_CUDA_HOST_CODE_H
#define PAH_CUDA_HOST_CODE_H

#include "module/module.h"

struct cuda_source {
  char *text;                  /* of the device's side; NULL: the module's own */
  char *skipped;               /* as pah_module_skipped tells it, or NULL */
  const char **names, **texts; /* of headers in memory: those of headers.h, then empty ones */
  int count, own;              /* own: of the empty ones, whose names are to be freed */
};

int cuda_source_begin(struct cuda_source *s);
/* After a failure with this log: 1 if there is something else to try. */
int cuda_source_again(struct cuda_source *s, const struct pah_module *m, const char *log);
void cuda_source_end(struct cuda_source *s);

#endif
