/* claim.c - the owners of words while several processes run one launch. A word is nobody's, read by one process, read
 * by several, or written by one; a second process at a written word ends the attempt, and so does one that writes what
 * another has read. The check is exact whatever the processes' speed: of two accesses the later one sees the earlier.
 * Read next: check.c, which calls sim_claim; kept.h (memory becomes again what it was); sim/host/team.c. */
#define _GNU_SOURCE
#include "claim.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pah_measure.h"

enum { NOBODY = 0, SEVERAL = 255 }; /* else 1 + 2 * process, and one more when that has written */

struct sim_team *sim_team;
static uint8_t reads, writes; /* of this process, as an owner */
static int64_t own_run;       /* 1 + which one it begins with; 0: that is over, or there is none */

/* ---- The host ---- */

/* Neighbours often read the same, so runs of them; short ones at the end, when all are to be done at once. */
static int64_t run_of(int64_t left, int32_t processes) {
  const int64_t run = processes > 1 ? left / (2 * processes) : 1;
  return run < 1 ? 1 : run;
}

struct sim_team *sim_team_open(const struct sim_job *job) {
  const int64_t *grid = job->launch->grid, blocks = grid[0] * grid[1] * grid[2];
  const uint64_t words = job->arena->next / WORD_BYTES + CHUNK_WORDS;
  const uint64_t bytes =
      sizeof(struct sim_team) + words + (uint64_t)(job->image->data_end - job->image->data) / WORD_BYTES + CHUNK_WORDS;
  struct sim_team *team = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (team == MAP_FAILED) return NULL;
  *team = (struct sim_team){.processes = 1, .started = pah_clock(), .reserved = bytes};
  team->owner[0] = (uint8_t *)(team + 1);
  team->owner[1] = team->owner[0] + words;
  if (!job->at_once) return team;
  team->processes = job->processes;
  team->first_run = run_of(blocks, job->processes);
  team->next = team->first_run * team->processes;
  return team;
}

void sim_team_close(struct sim_team *team) {
  if (team) munmap(team, team->reserved);
}

/* ---- A process of it ---- */

void sim_team_join(struct sim_team *team, int index) {
  sim_team = team;
  reads = (uint8_t)(1 + 2 * index);
  writes = (uint8_t)(reads + 1);
  own_run = team && team->first_run ? index + 1 : 0;
}

int64_t sim_team_take(int64_t blocks, int64_t *first) {
  int64_t at = __atomic_load_n(&sim_team->next, __ATOMIC_RELAXED), count;
  if (own_run) {
    *first = (own_run - 1) * sim_team->first_run;
    own_run = 0;
    return sim_team->first_run;
  }
  do {
    if (at >= blocks) return 0;
    count = run_of(blocks - at, __atomic_load_n(&sim_team->processes, __ATOMIC_RELAXED));
  } while (!__atomic_compare_exchange_n(&sim_team->next, &at, at + count, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  *first = at;
  return count;
}

void sim_team_over(enum sim_over why) {
  if (!sim_team) return;
  int32_t before = SIM_NOT_OVER;
  __atomic_compare_exchange_n(&sim_team->over, &before, (int32_t)why, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  _exit(0);
}

static void claim_word(uint8_t *owner, int is_global, int to_write) {
  uint8_t was = __atomic_load_n(owner, __ATOMIC_RELAXED), now = was;
  do {
    if (was == writes || (!to_write && (was == reads || was == SEVERAL))) return;
    if (was == NOBODY || was == reads)
      now = to_write ? writes : reads;
    else if (!to_write && was % 2)
      now = SEVERAL;
    else
      sim_team_over(SIM_OVER_ORDER);
  } while (!__atomic_compare_exchange_n(owner, &was, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  if (was == NOBODY && is_global) sim_result->counters.global_unique_bytes += WORD_BYTES;
}

void sim_claim(const struct sim_space *s, uint64_t word, int words, int to_write) {
  const int is_global = s == &sim_spaces[SIM_GLOBAL];
  uint8_t *owner = sim_team->owner[!is_global] + word;
  for (int i = 0; i < words; i++) claim_word(&owner[i], is_global, to_write);
}
