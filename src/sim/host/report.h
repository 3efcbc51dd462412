/* report.h - from what the child has left to the report that the caller gets. See report.c and symbol.c. */
#ifndef PAH_SIM_REPORT_H
#define PAH_SIM_REPORT_H

#include "launch.h"

struct sim_place { /* of an instruction in the source */
  char file[PAH_FILE_SIZE];
  int32_t line; /* 0: not known */
};

/* The places of n return addresses in the object of `image`, by addr2line in one run for those that are new; those not
 * found get line 0. */
void sim_places(const struct sim_image *image, const void *const *pcs, int n, struct sim_place *places);

/* Appends to `text` what the address is in the words of the problem, else those of the launch's tensors; nothing if it
 * is unknown. */
void sim_describe_address(const struct pah_launch *launch, int parameters, const void *address, char *text,
                          size_t bytes);

/* The line of the source at a place, without spaces around it; empty if it cannot be read. */
void sim_source_line(const struct sim_job *job, const struct sim_place *place, char *text, size_t bytes);
/* Does a comment in that line, "pah: allow CODE", say that the finding is meant? */
int sim_allowed_by_comment(const char *line, const char *code);
/* The codes of a list that a launch may allow: those after which it goes on. */
int sim_check_allow(const char *kernel, const char *list);

#endif
