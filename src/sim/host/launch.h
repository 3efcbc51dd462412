/* launch.h - a launch on sim, as the device starts it. See launch.c; what the child process sees of it: block/job.h. */
#ifndef PAH_SIM_LAUNCH_H
#define PAH_SIM_LAUNCH_H

#include "sim/block/job.h"

/* Runs the job in a child process; fills the report. Errors: the child could not be made, or the user interrupted. */
int sim_launch(const struct sim_job *job, struct pah_report *report);

#endif
