/* finding.c - findings of a launch: one per code and place, counted. The host gives them names (sim/host/report.c).
 * Read next: check.c, which makes most of them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "sched.h"

static void add(const void *pc, const void *other_pc, const void *address, const char *code, const char *format,
                va_list args) {
  struct sim_result *r = sim_result;
  for (int i = 0; i < r->finding_count; i++)
    if (r->findings[i].pc == pc && !strcmp(r->findings[i].code, code)) {
      r->findings[i].count++;
      return;
    }
  if (r->finding_count == SIM_MAX_FINDINGS) return;
  struct sim_finding *f = &r->findings[r->finding_count];
  *f = (struct sim_finding){.pc = pc, .other_pc = other_pc, .address = address, .count = 1};
  f->thread = sim_block.running ? sim_block.running->id : 0;
  f->block = sim_block.index;
  snprintf(f->code, sizeof f->code, "%s", code);
  vsnprintf(f->message, sizeof f->message, format, args);
  r->finding_count++;
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
