/* cluster.c - shared memory of a cluster: addresses of other thread blocks, and what is done to their memory. It is
 * there from the moment at which a thread block has begun until it ends, so every visit must be after the one and
 * before the other, by what the threads know of each other and not by luck of the schedule. Of each visitor the last
 * visit is remembered: those before it are no later. Findings: cluster-start, cluster-exited.
 * Read next: home.c, wide.c. */
#include <stdlib.h>

#include "sim/check/check.h"
#include "sim/check/clock.h"
#include "sim/check/shadow.h"
#include "sched.h"

struct sim_visit {
  uint32_t step; /* of the visitor; 0: none yet */
  uint32_t bytes;
  const void *pc;
  const char *verb;
};

struct sim_loan {
  struct sim_loan *next;
  int agent;
  uint32_t step, bytes;
  const void *pc;
};

static uint64_t byte_of(const struct sim_home *home, const void *p) {
  return (uint64_t)((const uint8_t *)p - home->window);
}

static void remember(struct sim_home *home, const struct sim_thread *t, const struct sim_access *a) {
  const size_t visitors = (size_t)(sim_block.cluster * sim_block.count);
  if (!home->visits) home->visits = calloc(visitors, sizeof *home->visits);
  if (!home->visits) sim_give_up("no memory left for what thread blocks of a cluster do to each other");
  home->visits[t->number - home->first->slot * sim_block.count] =
      (struct sim_visit){t->step, a->bytes, a->pc, sim_verb(a)};
}

int sim_may_visit(const struct sim_thread *t, const struct sim_access *a) {
  struct sim_home *home = sim_home_at(a->address);
  const uint64_t at = byte_of(home, a->address), bytes = sim_shared_bytes();
  if (home->first != t->home->first || at + a->bytes > bytes) {
    sim_find_at(a->pc, NULL, a->address, "out-of-bounds",
                "%s %u bytes at byte %lld of shared memory, which has %llu bytes", sim_verb(a), a->bytes,
                (long long)((const uint8_t *)a->address - t->home->window), (unsigned long long)bytes);
    return -1;
  }
  if (home == t->home) return 0;
  if (home->exited == sim_block.count) {
    sim_find_at(a->pc, NULL, a->address, "cluster-exited",
                "%s %u bytes at byte %llu of the shared memory of thread block %lld, rank %d of the cluster, whose "
                "threads have ended",
                sim_verb(a), a->bytes, (unsigned long long)at, (long long)home->index, home->rank);
    return -1;
  }
  if (!sim_foreign_find(t->foreign, home->index & SIM_BLOCK_MASK))
    sim_find_at(
        a->pc, NULL, a->address, "cluster-start",
        "%s %u bytes of the shared memory of thread block %lld, rank %d of the cluster, which may not have begun: "
        "no cluster barrier comes before",
        sim_verb(a), a->bytes, (long long)home->index, home->rank);
  return 0;
}

int sim_visit(struct sim_thread *t, const struct sim_access *a) {
  if (sim_may_visit(t, a)) return -1;
  struct sim_home *home = sim_home_at(a->address);
  if (home != t->home) remember(home, t, a);
  return 0;
}

void sim_lend(int agent, uint32_t bytes, const void *pc) {
  struct sim_home *home = sim_block.here;
  if (sim_agent_home(agent) == home) return;
  struct sim_loan *loan = calloc(1, sizeof *loan);
  if (!loan) sim_give_up("no memory left for what thread blocks of a cluster do to each other");
  *loan = (struct sim_loan){home->loans, agent, sim_agent_at(agent)->step, bytes, pc};
  home->loans = loan;
}

/* What the threads of a thread block know together of the others. */
static struct sim_foreign *all_known(const struct sim_home *home) {
  struct sim_foreign *all = NULL;
  for (int i = 0; i < sim_block.count; i++)
    sim_foreign_learn(&all, sim_block.threads[home->slot * sim_block.count + i].foreign);
  return all;
}

static int knows(const struct sim_foreign *known, const struct sim_home *of, int id, uint32_t step) {
  const struct sim_clock *clock = sim_foreign_find(known, of->index & SIM_BLOCK_MASK);
  return clock && clock->at[id] >= step;
}

static void end_visits(struct sim_home *home, const struct sim_foreign *known) {
  const int first = home->first->slot * sim_block.count;
  for (int i = 0; home->visits && i < sim_block.cluster * sim_block.count; i++) {
    const struct sim_visit *v = &home->visits[i];
    struct sim_thread *visitor = &sim_block.threads[first + i];
    if (!v->step || knows(known, visitor->home, visitor->id, v->step)) continue;
    sim_enter(visitor);
    sim_find_at(
        v->pc, NULL, NULL, "cluster-exited",
        "%s %u bytes of the shared memory of thread block %lld, rank %d of the cluster, which may have ended: it "
        "does not wait for this",
        v->verb, v->bytes, (long long)home->index, home->rank);
  }
}

void sim_visits_end(struct sim_home *home) {
  if (!home->visits && !home->loans) return;
  struct sim_foreign *known = all_known(home);
  struct sim_thread *now = sim_block.running;
  end_visits(home, known);
  sim_enter(now);
  for (const struct sim_loan *loan = home->loans; loan; loan = loan->next)
    if (!knows(known, sim_agent_home(loan->agent), sim_agent_id(loan->agent), loan->step))
      sim_find(loan->pc, "async-unfinished",
               "the thread block may end before this copy of %u bytes has read its shared memory: it does not hear of "
               "the end of the copy",
               loan->bytes);
  sim_foreign_drop(known);
}

void sim_visits_forget(struct sim_home *home) {
  free(home->visits);
  home->visits = NULL;
  while (home->loans) {
    struct sim_loan *loan = home->loans;
    home->loans = loan->next;
    free(loan);
  }
}

/* ---- What kernels call ---- */

struct pah_sim_dim pah_sim_cluster_dim(void) {
  return sim_block.cluster_dim;
}

struct pah_sim_dim pah_sim_cluster_block_idx(void) {
  return sim_block.here->inside;
}

unsigned pah_sim_cluster_rank(void) {
  return (unsigned)sim_block.here->rank;
}

int pah_sim_is_cluster(void) {
  return sim_job->launch->cluster[0] != 0;
}

static void check_rank(unsigned rank, const char *what, const void *pc) {
  if (rank >= (unsigned)sim_block.cluster)
    sim_fatal(pc, "bad-operand", "%s: rank: is %u, must be below the %d thread blocks of the cluster", what, rank,
              sim_block.cluster);
}

unsigned pah_sim_mapa(unsigned address, unsigned rank) {
  check_rank(rank, "mapa", __builtin_return_address(0));
  return (unsigned)((address & (sim_window_bytes() - 1)) + ((uint64_t)rank << sim_window_shift));
}

void *pah_sim_map_shared(const volatile void *volatile_p, unsigned rank) {
  const void *pc = __builtin_return_address(0);
  uint8_t *p = (uint8_t *)(uintptr_t)volatile_p;
  check_rank(rank, "mapa", pc);
  if (sim_space_of(p) != &sim_spaces[SIM_SHARED])
    sim_fatal(pc, "bad-operand", "mapa: the address %p is not of shared memory", (void *)p);
  return p - sim_home_at(p)->window + sim_block.here->first[rank].window;
}

unsigned pah_sim_shared_rank(const volatile void *volatile_p) {
  const uint8_t *p = (const uint8_t *)(uintptr_t)volatile_p;
  if (sim_space_of(p) != &sim_spaces[SIM_SHARED])
    sim_fatal(__builtin_return_address(0), "bad-operand", "getctarank: the address %p is not of shared memory",
              (const void *)p);
  return (unsigned)sim_home_at(p)->rank;
}
