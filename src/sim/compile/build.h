/* build.h - from the source of a module to an object that can be run: see build.c and elf.c. */
#ifndef PAH_SIM_BUILD_H
#define PAH_SIM_BUILD_H

#include "module/module.h"
#include "sim/host/launch.h"

int sim_build(struct pah_module *m, int arch, struct sim_image **image); /* compiled, or taken from the cache; opened */
void sim_image_close(struct sim_image *image);
/* An error of the compiler as one of the source; missing: names of headers, each with an end of line. */
int sim_compile_error(const char *compiler, int exit_status, const char *output, const struct pah_module *m,
                      const char *missing);

/* ptx_source.c: nvcc, if sources go by way of its PTX ($PAH_SIM_NVCC); else NULL. */
const char *sim_nvcc(void);
int sim_is_ptx(const struct pah_module *m); /* it is PTX, or goes by way of it */
/* ptx_source.c: what a kernel is called in the C++ of the PTX that nvcc made: its name with words for its marks. */
void sim_ptx_name(const char *kernel, char *name, size_t bytes);
/* ptx_source.c: "_ZN2ns1fEPf" becomes "ns::f", in its place; other names stay. */
void sim_ptx_plain_name(char *name);
/* ptx_source.c: the C++ of such a module, malloc'ed; `whole`: its source with the defines. */
int sim_ptx_source(const struct pah_module *m, int arch, const char *whole, const struct pah_work *w, char **text);

/* elf.c: of a relocatable object, the undefined thread-local symbols (`extern __shared__`), separated by newlines, and
 * the bytes of the defined ones (`__shared__`). *names is malloc'ed. */
int sim_elf_shared(const char *path, char **names, uint64_t *bytes);
/* gaps.c: copies assembly, with SIM_GAP bytes of nobody's behind each variable. */
enum { SIM_GAP = 1024, SIM_DYNAMIC_ALIGN = 1024 };
int sim_add_gaps(const char *from, const char *to);
/* gaps.c: what the declarations of dynamic shared memory ask for, 16 to SIM_DYNAMIC_ALIGN; where it starts in the
 * kernels of a relocatable object, -1 if they differ. */
struct pah_tokens;
uint64_t sim_dynamic_alignment(const struct pah_tokens *t);
int sim_dynamic_start(const char *path, uint64_t align, int64_t *start);
/* variable.c: is the variable, by its mangled name, declared in this function? */
int sim_is_within(const char *variable, const char *function);
/* elf.c: makes that no code of the object runs when it is opened; runs what that has put off. */
int sim_elf_disarm(const char *path, const char *source);
void sim_elf_start(const struct sim_image *image);
/* elf.c: fills the ranges of an opened object; makes its variables shared with child processes. */
int sim_elf_map(struct sim_image *image);

/* variable.c: fills the table of shared variables; the static shared memory of the kernel at `kernel` in the object. */
int sim_variables_read(struct sim_image *image);
uint64_t sim_static_shared(const struct sim_image *image, uint64_t kernel);
/* variable.c: a variable of the device by its symbol; *data NULL: there is none. */
int sim_variable(const struct sim_image *image, const char *symbol, void **data, int64_t *bytes);
/* variable.c: the most threads of a block, by the kernel's __launch_bounds__ or, without, 1024. */
int sim_launch_bounds(const struct sim_image *image, uint64_t kernel);
/* variable.c: the __cluster_dims__ of the i-th kernel; 0: it has none. */
int sim_cluster_dims(const struct sim_image *image, int64_t i, int64_t dims[3]);
/* elf.c: the address in the object of the i-th kernel asked for, 0 past the last; is it one of them? */
uint64_t sim_image_kernel(const struct sim_image *image, int64_t i);
int sim_image_has_kernel(const struct sim_image *image, uint64_t at);

/* symbol.c: what is known of the object's lines. NULL: no memory. */
struct sim_known_places *sim_places_new(void);
void sim_places_free(struct sim_known_places *k);

#endif
