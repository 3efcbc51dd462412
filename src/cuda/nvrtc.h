/* nvrtc.h - a module's source made into machine code by NVRTC, with no driver and no GPU. See nvrtc.c. */
#ifndef PAH_CUDA_NVRTC_H
#define PAH_CUDA_NVRTC_H

#include "module/module.h"

struct cuda_entry {
  char *lowered;              /* the kernel's name in the image */
  struct pah_resources known; /* registers, spills and static shared memory; zero where the image is PTX */
};

struct cuda_code {
  char *image; /* a cubin, or PTX with a 0 at its end */
  size_t bytes;
  struct cuda_entry *entries; /* one for each kernel of the module */
  int64_t count;
  char *skipped; /* as pah_module_skipped tells it; NULL: nothing */
};

/* Compiles all kernels of m for "sm_90a" and the like, or takes them from the cache. The compiler's words are the
 * error. */
int cuda_compile(const struct pah_module *m, const char *arch, struct cuda_code *code);
/* What was left out becomes the module's. */
void cuda_take_skipped(struct pah_module *m, struct cuda_code *code);
void cuda_code_free(struct cuda_code *code);

/* Whether NVRTC makes cubins for it; the error names those that it knows. */
int cuda_check_arch(const char *arch);

/* What the log of `ptxas -v` says of a kernel (ptxas.c). */
void cuda_read_log(const char *log, const char *lowered, struct pah_resources *r);

/* The name of the variable that holds the signature of kernel i (the text is in nvrtc.c). */
void cuda_signature_name(int64_t i, char *name, size_t bytes);
void cuda_read_signature(const int *values, struct pah_signature *signature);

#endif
