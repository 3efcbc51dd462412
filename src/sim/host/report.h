/* report.h - from what the child has left to the report that the caller gets. See report.c and symbol.c. */
#ifndef PAH_SIM_REPORT_H
#define PAH_SIM_REPORT_H

#include "launch.h"

struct sim_place { /* of an instruction in the source */
  char file[PAH_FILE_SIZE];
  int32_t line; /* 0: not known */
};

/* The places of n return addresses in the object of `image`, by addr2line in one run; those not found get line 0. */
void sim_places(const struct sim_image *image, const void *const *pcs, int n, struct sim_place *places);

/* Appends to `text` what the address is in the words of the problem; nothing if it is unknown. */
void sim_describe_address(const struct pah_attn *a, const void *address, char *text, size_t bytes);

#endif
