/* outcome.h - does it matter that a launch has read what nobody had written? See outcome.c. */
#ifndef PAH_SIM_OUTCOME_H
#define PAH_SIM_OUTCOME_H

#include "sim/check/kept.h"

/* Runs a job to its end, its result in sim_result; 0: it did not come to one. */
typedef int sim_runner(void *data, struct sim_job *job);

/* The job has run with job->kept, and sim_result holds what came of it: takes the "uninitialised" findings away that
 * change nothing. Memory is afterwards as the job has left it. */
void sim_judge_unwritten(const struct sim_job *job, sim_runner *run, void *data);

#endif
