/* job.h - a launch as the child process sees it: what it is to run, and the memory in which it leaves what it found.
 * The host makes both (sim/host/device.c, launch.c). Read next: child.c. */
#ifndef PAH_SIM_JOB_H
#define PAH_SIM_JOB_H

#include <string.h>

#include "sim/arena.h"
#include "runtime.h"

/* A shared variable, by its place in the thread-local block, or one of the device, by that in the object (variable.c).
 */
struct sim_variable {
  uint64_t at, bytes;
  int is_shared;
  char name[40];
  uint64_t owner; /* the kernel that declares it, as its address in the object; 0: any kernel may use it */
  int guard;      /* the compiler's own */
};

/* A shared object made from a kernel source (build.c). */
struct sim_image {
  void *handle;             /* of dlopen */
  char *path;               /* of the file, for the names of source lines */
  uint8_t *text, *text_end; /* the whole object in memory */
  uint8_t *data, *data_end; /* its variables: __device__ and __constant__; shared with the child */
  uint64_t shared_bytes;    /* static shared memory, of all kernels together */
  uint64_t dynamic_offset;  /* of dynamic shared memory within the thread block's */
  struct sim_variable *variables;
  int variable_count;
  struct sim_known_places *places; /* lines of instructions, of the host (sim/host/symbol.c) */
  int *alone;                      /* of each kernel: sim_job.alone; NULL until one has been launched */
  int64_t alone_count;
};

/* What one launch needs; made by device.c. */
struct sim_kept;
struct sim_job {
  struct sim_arena *arena;
  const struct sim_image *image;
  void (*entry)(void **args);
  const struct pah_signature *signature;
  const struct pah_launch *launch;
  const char *kernel;
  const char *source_path, *source; /* of the module */
  int arch;                         /* 80, 90 */
  uint64_t restricted;              /* a bit for each parameter that is const and __restrict__ */
  int64_t static_shared;            /* of the kernel */
  struct sim_kept *kept;            /* memory before the launch is kept here; NULL: it is not. check/kept.h */
  int again;                        /* it is run once more, for its outcome alone: it prints nothing */
  const struct sim_filler *filler;  /* what reads of memory get that nobody has written; NULL: NaN */
  int processes;                    /* that may run it: 1 to the number of its thread blocks */
  int at_once;                      /* they are to begin together, however short it is */
  int *alone;            /* set: its thread blocks are not independent, one process is to run it from now on */
  struct sim_team *team; /* of the processes that run it; NULL: one does. claim.h */
};

struct sim_filler {
  uint8_t byte;
  const void *pc; /* NULL: every read does; else only this one, and the others get NaN */
};

/* Is the code one of a list with commas? NULL is empty. */
static inline int sim_allowed(const char *list, const char *code) {
  const size_t n = strlen(code);
  for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',')
    if (strcspn(at, ",") == n && !strncmp(at, code, n)) return 1;
  return 0;
}

/* The whole work of a child, the index-th of a team, and its end. `limit`: seconds. */
void sim_child(const struct sim_job *job, int index, double limit) __attribute__((noreturn));

enum { SIM_MAX_FINDINGS = 64, SIM_HEAP_BYTES = 16 << 20 }; /* half of the heap is lost to distances */

/* What has been read that nobody had written: a part of an access; a whole one, of shared or of other memory. */
enum { SIM_UNWRITTEN_PART = 1, SIM_UNWRITTEN_SHARED = 2, SIM_UNWRITTEN_GLOBAL = 4 };

struct sim_finding { /* before its places have names */
  char code[PAH_CODE_SIZE];
  char message[PAH_MESSAGE_SIZE];
  const void *pc, *other_pc; /* other: where the other party of a race was */
  const void *address;       /* what was touched; NULL: nothing */
  int32_t thread, other_thread;
  int64_t block, count;
  int32_t unwritten; /* of "uninitialised": SIM_UNWRITTEN_* */
  const void *guess; /* of a race: where it was read; nothing is wrong if reads there are guesses. NULL: it is one */
};

struct sim_line { /* counters of one instruction */
  const void *pc;
  struct pah_line_counters count;
};
enum { SIM_MAX_LINES = 4096, SIM_MAX_GUESSES = 64 };

/* Shared between parent and child; each child has one. */
struct sim_result {
  int32_t begun, done; /* the child came to its beginning, and to its end */
  uint64_t heap_end;   /* of the arena's addresses, when the kernel used malloc; else 0 */
  char give_up[256];   /* why it did not */
  int32_t finding_count;
  struct sim_finding findings[SIM_MAX_FINDINGS];
  int32_t guess_count;
  const void *guesses[SIM_MAX_GUESSES]; /* places of reads, check.h */
  struct pah_counters counters;
  struct sim_line lines[SIM_MAX_LINES];
};

extern const struct sim_job *sim_job;
extern struct sim_result *sim_result; /* the host's too, while a launch runs */

void sim_give_up(const char *why) __attribute__((noreturn)); /* the simulator itself cannot go on */

#endif
