/* process.h - kernel code runs in a process of its own, which can neither leave anything behind nor reach outside. See
 * process.c. */
#ifndef PAH_SIM_PROCESS_H
#define PAH_SIM_PROCESS_H

enum sim_ending { SIM_ENDED, SIM_INTERRUPTED, SIM_OVER_LIMIT };

struct sim_work {
  const char *what;                     /* in errors */
  void (*run)(void *data, int process); /* in a child process; the first one is number 0 */
  int (*others)(void *data);            /* how many others are to join the first; NULL: none */
  double others_after;                  /* asked when it has run for so many seconds */
  int (*is_in_vain)(void *data);        /* with others: one has ended; need the rest not be waited for? */
  void *data;
  double limit; /* seconds to wait for the end of all */
};
enum { SIM_MOST_PROCESSES = 64 };

/* Runs it and waits for its end. Fills how that was and, of the first process that failed, the status as waitpid gives
 * it, else 0; when one has failed, the others are ended. An error if there can be no such process. */
int sim_in_process(const struct sim_work *work, enum sim_ending *how, int *exit_status);

/* confine.c: from here on, in this process, system calls that reach other processes or files raise SIGSYS. Does nothing
 * where the system cannot do that. */
void sim_confine(void);

#endif
