/* team.h - a job is run by one process or by several: see team.c. */
#ifndef PAH_SIM_TEAM_H
#define PAH_SIM_TEAM_H

#include "process.h"
#include "sim/block/job.h"

struct sim_attempt {
  enum sim_ending how;
  int exit_status; /* of a process that failed */
  int status;      /* of the host: could there be processes? */
};

/* Runs it in a process, its result in sim_result. `data`: the attempt. 1: the process came to its end. */
int sim_run_alone(void *data, struct sim_job *job);
/* By the processes of job->team. enum sim_over: if that is not SIM_NOT_OVER, it is to be run anew, by one. */
int sim_run_by_team(struct sim_attempt *a, struct sim_job *job);

void sim_add_line(struct pah_line_counters *l, const struct pah_line_counters *c);

#endif
