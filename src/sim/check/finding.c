/* finding.c - findings of a launch: one per code and place, counted; and the words for races and for accesses to memory
 * that is not there. The host gives places names (sim/host/report.c). Read next: check.c, which makes most of them;
 * notes.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "sim/block/claim.h"
#include "sim/block/sched.h"
#include "shadow.h"

/* A new one; when there are no more, the last of those whose code others have too, so that no code hides another. */
static struct sim_finding *place_for(struct sim_result *r, const char *code) {
  if (r->finding_count < SIM_MAX_FINDINGS) return &r->findings[r->finding_count++];
  int repeated = -1;
  for (int i = 0; i < SIM_MAX_FINDINGS; i++) {
    if (!strcmp(r->findings[i].code, code)) return NULL;
    for (int j = 0; j < i; j++)
      if (!strcmp(r->findings[i].code, r->findings[j].code)) repeated = i;
  }
  return repeated < 0 ? NULL : &r->findings[repeated];
}

static const void *guess; /* of the finding that is made now: see struct sim_finding */

/* NULL: it is not told. */
static struct sim_finding *add(const void *pc, const void *other_pc, const void *address, const char *code,
                               const char *format, va_list args) {
  struct sim_result *r = sim_result;
  if (sim_allowed(sim_job->launch->allow, code)) return NULL;
  sim_team_over(SIM_OVER_FINDING); /* in the order of one process it is told */
  for (int i = 0; i < r->finding_count; i++)
    if (r->findings[i].pc == pc && r->findings[i].guess == guess && !strcmp(r->findings[i].code, code)) {
      r->findings[i].count++;
      return &r->findings[i];
    }
  struct sim_finding *f = place_for(r, code);
  if (!f) return NULL;
  *f = (struct sim_finding){.pc = pc, .other_pc = other_pc, .count = 1, .guess = guess};
  const struct sim_arena *arena = sim_job->arena; /* no tensor lies elsewhere */
  if ((uint64_t)((const uint8_t *)address - arena->base) < arena->size) f->address = address;
  f->thread = sim_block.running ? sim_block.running->id : 0;
  f->block = sim_block.running ? sim_block.running->home->index : 0;
  snprintf(f->code, sizeof f->code, "%s", code);
  vsnprintf(f->message, sizeof f->message, format, args);
  return f;
}

void sim_find_at(const void *pc, const void *other_pc, const void *address, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  add(pc, other_pc, address, code, format, args);
  va_end(args);
}

void sim_find(const void *pc, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  add(pc, NULL, NULL, code, format, args);
  va_end(args);
}

void sim_fatal(const void *pc, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  add(pc, NULL, NULL, code, format, args);
  va_end(args);
  sim_leave();
}

/* ---- Races. A write of the same value is none that anyone could notice: it is looked at again after the write. ----
 */

const uint8_t *sim_deferred_address;
static struct {
  uint32_t bytes;
  uint8_t old[256]; /* structs are copied as a whole */
  struct sim_access access;
  sim_epoch other;
  const void *other_pc;
  struct sim_thread *thread;
} deferred;

void sim_find_race(const struct sim_access *a, sim_epoch other, const void *other_pc, const char *what) {
  char who[96];
  uint32_t id = EPOCH_ID(other);
  if ((int)id >= sim_block.count)
    snprintf(who, sizeof who, "an asynchronous copy or matrix instruction");
  else if (EPOCH_BLOCK(other) == (sim_block.here->index & SIM_BLOCK_MASK))
    snprintf(who, sizeof who, "thread %u", id);
  else
    snprintf(who, sizeof who, "thread %u of thread block %lld", id, (long long)EPOCH_BLOCK(other));
  sim_find_at(a->pc, other_pc, a->address, "race", "%s of %u bytes of %s memory is not ordered after the %s by %s",
              what, a->bytes, sim_space_name(a->address), a->flags & PAH_SIM_WRITE ? "access" : "write", who);
}

void sim_find_race_unless(const struct sim_access *a, sim_epoch other, const void *other_pc, const char *what,
                          const void *read) {
  guess = read;
  sim_find_race(a, other, other_pc, what);
  guess = NULL;
}

int sim_is_guess(const void *pc) {
  const struct sim_result *r = sim_result;
  for (int i = 0; i < r->guess_count; i++)
    if (r->guesses[i] == pc) return 1;
  return 0;
}

void sim_read_is_guess(const void *pc) {
  struct sim_result *r = sim_result;
  if (r->guess_count < SIM_MAX_GUESSES && !sim_is_guess(pc)) r->guesses[r->guess_count++] = pc;
}

void sim_drop_guesses(struct sim_result *r) {
  int kept = 0;
  for (int i = 0; i < r->finding_count; i++) {
    int is_guess = 0;
    for (int j = 0; j < r->guess_count && r->findings[i].guess; j++) is_guess |= r->guesses[j] == r->findings[i].guess;
    if (!is_guess) r->findings[kept++] = r->findings[i];
  }
  r->finding_count = kept;
}

/* A plain read beside atomics of others: no race if it is the guess of a compare-and-swap, which comes next. */
void sim_suspect(struct sim_thread *t, const struct sim_access *a, uint64_t other, uint32_t pc) {
  sim_suspect_look(t);
  t->suspect = *a;
  t->suspect_other = other;
  t->suspect_pc = pc;
}

void sim_suspect_look(struct sim_thread *t) {
  const struct sim_access a = t->suspect;
  struct sim_thread *now = sim_block.running;
  if (!a.address) return;
  t->suspect.address = NULL;
  sim_enter(t);
  sim_find_race_unless(&a, t->suspect_other, sim_text + t->suspect_pc, "a read", a.pc);
  if (now) sim_enter(now);
}

/* The compiler announces the write of a copied struct before the read, and then copies. */
int sim_is_deferred_source(const struct sim_access *a) {
  return !(a->flags & PAH_SIM_WRITE) && a->flags & deferred.access.flags & SIM_UNALIGNED &&
         a->bytes == deferred.bytes && sim_block.running == deferred.thread;
}

void sim_deferred_look(void) {
  const uint8_t *p = sim_deferred_address;
  sim_deferred_address = NULL;
  if (!memcmp(p, deferred.old, deferred.bytes)) return;
  struct sim_thread *now = sim_block.running;
  sim_enter(deferred.thread);
  sim_find_race(&deferred.access, deferred.other, deferred.other_pc, "a write");
  if (now) sim_enter(now);
}

/* Two writes. */
void sim_find_race_of_writes(const struct sim_view *v, const struct sim_access *a, sim_epoch other, uint32_t pc) {
  const void *other_pc = sim_text + pc;
  if (a->bytes > sizeof deferred.old || a->agent >= 0 || a->flags & PAH_SIM_READ) {
    sim_find_race(a, other, other_pc, a->flags & PAH_SIM_READ ? "an atomic" : "a write");
    return;
  }
  if (sim_deferred_address) return; /* one of the words of this access is enough */
  sim_deferred_address = a->address;
  deferred.bytes = a->bytes;
  memcpy(deferred.old, a->address, a->bytes);
  deferred.access = *a;
  deferred.other = other;
  deferred.other_pc = other_pc;
  deferred.thread = v->thread;
}

/* ---- What nobody has written ---- */

static struct sim_finding *add_words(const struct sim_access *a, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  struct sim_finding *f = add(a->pc, NULL, a->address, code, format, args);
  va_end(args);
  return f;
}

void sim_find_unwritten(const struct sim_access *a, const struct sim_space *s, int whole) {
  struct sim_finding *f =
      add_words(a, "uninitialised", "%s %u bytes of %s memory that nobody has written", sim_verb(a), a->bytes, s->name);
  const int all = s == &sim_spaces[SIM_SHARED] ? SIM_UNWRITTEN_SHARED : SIM_UNWRITTEN_GLOBAL;
  if (f) f->unwritten |= whole ? all : SIM_UNWRITTEN_PART;
}

/* ---- Accesses that cannot be: what is said of them ---- */

const char *sim_verb(const struct sim_access *a) {
  return !(a->flags & PAH_SIM_WRITE) ? "reads" : a->flags & PAH_SIM_READ ? "updates" : "writes";
}

const char *sim_space_name(const void *p) {
  const struct sim_space *s = sim_space_of(p);
  return s ? s->name : "local";
}

/* The allocation whose start is nearer to an access from `at` to `end` than the end of m is, before it; NULL: m's. */
static const struct sim_allocation *next_is_nearer(const struct sim_allocation *m, uint64_t end) {
  const struct sim_arena *arena = sim_job->arena;
  const struct sim_allocation *next = m ? m + 1 : arena->allocations;
  if (next >= arena->allocations + arena->count || (m && (!next->alive || next->start < end))) return NULL;
  return !m || next->start - end < end - (m->start + m->bytes) ? next : NULL;
}

static void bad_global(const struct sim_access *a) {
  const struct sim_allocation *m = sim_arena_find(sim_job->arena, a->address), *next;
  const uint64_t from = (uint64_t)((const uint8_t *)a->address - sim_job->arena->base);
  if (m && !m->alive && from - m->start < m->bytes)
    sim_find_at(a->pc, NULL, a->address, "use-after-free",
                "%s %u bytes at byte %llu of a tensor of %llu bytes that has "
                "been freed (allocation %lld of the device)",
                sim_verb(a), a->bytes, (unsigned long long)(from - m->start), (unsigned long long)m->bytes,
                (long long)m->number);
  else if ((next = next_is_nearer(m, from + a->bytes)))
    sim_find_at(a->pc, NULL, a->address, "out-of-bounds",
                "%s %u bytes, %llu bytes before the start of a tensor of %llu bytes (allocation %lld of the device)",
                sim_verb(a), a->bytes, (unsigned long long)(next->start - from), (unsigned long long)next->bytes,
                (long long)next->number);
  else if (m)
    sim_find_at(a->pc, NULL, a->address, "out-of-bounds",
                "%s %u bytes, %llu bytes past the end of a tensor of %llu bytes "
                "(allocation %lld of the device)",
                sim_verb(a), a->bytes,
                (unsigned long long)(from - m->start < m->bytes ? 0 : from - m->start - m->bytes),
                (unsigned long long)m->bytes, (long long)m->number);
  else
    sim_find_at(a->pc, NULL, a->address, "out-of-bounds", "%s %u bytes of a device that has no tensor", sim_verb(a),
                a->bytes);
}

/* Where variables count from: the window of its thread block, or the object. */
static uint64_t place_of(const struct sim_space *s, const uint8_t *p) {
  return s == &sim_spaces[SIM_SHARED] ? (uint64_t)(p - s->base) & (sim_window_bytes() - 1)
                                      : (uint64_t)(p - sim_job->image->text);
}

/* The variable that the address follows closely; NULL: none. */
static const struct sim_variable *variable_before(const struct sim_space *s, const uint8_t *p) {
  const struct sim_image *image = sim_job->image;
  const int is_shared = s == &sim_spaces[SIM_SHARED];
  const uint64_t at = place_of(s, p);
  const struct sim_variable *nearest = NULL;
  if (is_shared && image->dynamic_offset && at >= image->dynamic_offset - 1) return NULL;
  for (int i = 0; i < image->variable_count; i++) {
    const struct sim_variable *v = &image->variables[i];
    if (v->is_shared == is_shared && !v->guard && v->at <= at && (!nearest || v->at > nearest->at)) nearest = v;
  }
  return nearest;
}

void sim_find_bounds(const struct sim_space *s, const struct sim_access *a) {
  const struct sim_variable *v = s == &sim_spaces[SIM_GLOBAL] ? NULL : variable_before(s, a->address);
  if (s == &sim_spaces[SIM_GLOBAL])
    bad_global(a);
  else if (v)
    sim_find_at(a->pc, NULL, a->address, "out-of-bounds",
                "%s %u bytes at byte %lld of the %s variable %s, which has %llu bytes", sim_verb(a), a->bytes,
                (long long)(place_of(s, a->address) - v->at), v->is_shared ? "shared" : "device", v->name,
                (unsigned long long)v->bytes);
  else
    sim_find_at(a->pc, NULL, a->address, "out-of-bounds", "%s %u bytes at byte %llu of %s memory, which has %llu bytes",
                sim_verb(a), a->bytes, (unsigned long long)((const uint8_t *)a->address - s->base), s->name,
                (unsigned long long)s->size);
}

/* Not in a space that is watched: the own stack, constants and arguments are fine. */
int sim_check_elsewhere(struct sim_thread *t, const struct sim_access *a) {
  const uint8_t *p = a->address;
  const struct sim_image *image = sim_job->image;
  int owner, where = sim_fiber_of(p, &owner);
  if (where == 1 && (owner == t->number || sim_block.threads[owner].state != SIM_EXITED)) {
    if (owner == t->number) return 0;
    sim_find_at(a->pc, NULL, NULL, "bad-address", "%s local memory of thread %d", sim_verb(a),
                sim_block.threads[owner].id);
    return -1;
  }
  int reads = !(a->flags & PAH_SIM_WRITE);
  if (reads && p >= image->text && p + a->bytes <= image->text_end) return 0;
  if (reads && sim_is_argument(p)) return 0;
  /* As integers: a kernel without shared memory has its base near zero. */
  uintptr_t shared = (uintptr_t)t->home->window, at = (uintptr_t)p;
  const uint8_t *module = sim_spaces[SIM_MODULE].base;
  if (p < sim_job->arena->base + sim_job->arena->size && p >= sim_job->arena->base)
    bad_global(a);
  else if (at >= shared - 65536 && at < shared + sim_shared_bytes() + 65536 && !(p >= module && p < image->data_end))
    sim_find_at(a->pc, NULL, p, "out-of-bounds", "%s %u bytes at byte %lld of shared memory, which has %llu bytes",
                sim_verb(a), a->bytes, (long long)(at - shared), (unsigned long long)sim_shared_bytes());
  else
    sim_find_at(a->pc, NULL, NULL, "bad-address",
                "%s %u bytes at address %p, which is in no tensor, shared or local "
                "memory",
                sim_verb(a), a->bytes, (const void *)p);
  return -1;
}
