/* launch.h - a launch on sim, as the device starts it. See launch.c; what the child process sees of it: block/job.h. */
#ifndef PAH_SIM_LAUNCH_H
#define PAH_SIM_LAUNCH_H

#include "sim/block/job.h"

/* Runs the job in a child process; fills the report. Errors: the child could not be made, or the user interrupted. */
int sim_launch(const struct sim_job *job, struct pah_report *report);

/* limits.c: is the GPU one for this launch of the kernel `number` of the object? l is job->launch, and is given the
 * kernel's own clusters. */
int sim_check_limits(const struct sim_job *job, int64_t number, struct pah_launch *l);

#endif
