/* driver.h - a library that stands in for libcuda and NVRTC in the specs: it has their entry points, keeps memory on
 * the device sim of the program that opens it, hands launches to the simulator, records calls and fails the n-th one on
 * demand. Never installed. Read next: memory.c, module.c, nvrtc.c, spec/gpu/cuda_spec.lua. */
#ifndef PAH_TEST_DRIVER_H
#define PAH_TEST_DRIVER_H

#include "../../src/cuda/api.h"
#include "../../src/device.h"

enum {
  OBJECT_CONTEXT,
  OBJECT_STREAM,
  OBJECT_EVENT,
  OBJECT_MODULE,
  OBJECT_MEMORY,
  OBJECT_PROGRAM,
  OBJECT_GRAPH,
  OBJECT_KINDS
};

/* The real prototypes, for the files that call one another's. */
CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void **args,
                        void **extra);

/* What the specs call through the FFI. */
int64_t driver_calls(void); /* so far, of both libraries */
/* The nth call from now fails with `code`; 0: none. From 700 on the code ends the context: it stays until that goes. */
void driver_fail(int64_t nth, int code);
void driver_fail_named(const char *name, int code); /* the next call of that function fails */
const char *driver_failed(void);                    /* the name of the call that was made to fail; "" none yet */
int64_t driver_live(int kind);                      /* objects made and not destroyed */
int64_t driver_count(const char *name);             /* calls of one function */
void driver_hang(int on);                           /* launches from now on never end */
void driver_break(int code);                        /* the work launched so far ends in an error, which stays */
void driver_set_tensor_maps(int on);                /* 0: behaves as a driver without them */
void driver_set_dry(int on); /* launches compute nothing, and what was compiled once stays so: for speed */
void driver_set_capability(int major, int minor);
void driver_fail_attribute(int which, int code); /* of the device: every question for it; 0: none */
const char *driver_target(void);                 /* --gpu-architecture of the last compilation */

/* ---- Between the files of this folder ---- */
/* Records a call; the code that it has to fail with, or 0. */
int driver_enter(const char *name);
void driver_made(int kind, int by);
struct pah_device *driver_sim(void); /* opened at the first need; NULL: it cannot be */
int driver_sticky(void);             /* the error that stays, or 0 */
int driver_hangs(void);
int driver_is_dry(void);
void driver_drop_modules(void); /* with their context */
int driver_refused_by_recording(const char *name);
int driver_record(CUfunction function, const unsigned shape[7], const struct pah_signature *takes, void **args);

#define ENTER()                                                                                                        \
  do {                                                                                                                 \
    int code_ = driver_enter(__func__);                                                                                \
    if (code_) return code_;                                                                                           \
  } while (0)

#endif
