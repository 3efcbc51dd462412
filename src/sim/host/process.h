/* process.h - kernel code runs in a process of its own, which can neither leave anything behind nor reach outside. See
 * process.c. */
#ifndef PAH_SIM_PROCESS_H
#define PAH_SIM_PROCESS_H

enum sim_ending { SIM_ENDED, SIM_INTERRUPTED, SIM_OVER_LIMIT };

/* Runs work(data) in a child process and waits for its end, for `limit` seconds at most. Fills how it ended and its
 * status, as waitpid gives it. An error if there can be no such process; `what` names it. */
int sim_in_process(const char *what, void (*work)(void *data), void *data, double limit, enum sim_ending *how,
                   int *exit_status);

/* confine.c: from here on, in this process, system calls that reach other processes or files raise SIGSYS. Does nothing
 * where the system cannot do that. */
void sim_confine(void);

#endif
