/* arguments.h - what a launch passes against what the kernel takes. See arguments.c. */
#ifndef PAH_SIM_ARGUMENTS_H
#define PAH_SIM_ARGUMENTS_H

#include "module/module.h"

/* enum pah_dtype for what a parameter points to (sim/abi.h). */
int sim_points_to(int pointee);
/* A tensor of another dtype than its typed pointer is an error that names both. */
int sim_check_arguments(const struct pah_module_kernel *k, const struct pah_launch *l);

#endif
