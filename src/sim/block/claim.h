/* claim.h - several processes run the thread blocks of one launch, and each word that they share has an owner: which
 * process has read or written it. As long as no word is written by one and touched by another, all is as if one process
 * had run them in order; else the launch starts over, by one. See claim.c; sim/host/team.c starts them. */
#ifndef PAH_SIM_CLAIM_H
#define PAH_SIM_CLAIM_H

#include "sim/check/shadow.h"

/* Why the launch has to be run by one process: its kernel does what depends on the order of thread blocks; there is
 * something to find, whose words depend on it; a process could not go on. */
enum sim_over { SIM_NOT_OVER, SIM_OVER_ORDER, SIM_OVER_FINDING, SIM_OVER_FAILURE };

struct sim_team {    /* in memory that the processes share */
  int64_t next;      /* the first thread block that nobody has taken, in the order of the launch */
  int64_t first_run; /* thread blocks that each process begins with; 0: they come when they come */
  int32_t processes, over;
  double started;    /* by pah_clock */
  uint8_t *owner[2]; /* of each word of global memory, of each of the module's variables */
  uint64_t reserved;
};

/* ---- The host ---- */
struct sim_team *sim_team_open(const struct sim_job *job); /* NULL: no addresses left for it */
void sim_team_close(struct sim_team *team);                /* NULL is nothing */

/* ---- A process of it ---- */
extern struct sim_team *sim_team;                     /* NULL: one process runs all */
void sim_team_join(struct sim_team *team, int index); /* as which of its processes */
/* Thread blocks to run, from *first on; 0: all are taken. Each process gets them in ascending order. */
int64_t sim_team_take(int64_t blocks, int64_t *first);
void sim_team_over(enum sim_over why); /* ends the process, if it is one of a team */
/* Before words are touched for the first time by this process, or written for the first time. */
void sim_claim(const struct sim_space *s, uint64_t word, int words, int writes);

#endif
