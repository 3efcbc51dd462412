/* layout.c - the sizes and offsets that the C compiler gives the structs of the interface, as a table.
 * layout.inc is made by scripts/layout.awk from the interface headers (INTERFACE in Makefile.am), so a struct stands
 * here as soon as it stands there. LuaJIT lays the same structs out by itself: spec/host/layout_spec.lua compares. */
#include "pah_measure.h"
#include "pah_module.h"
#include "results_file.h"
#include "shared.h"

#define FIELD(type, name)                                                                                              \
  {#type, #name, (int64_t)offsetof(struct type, name), (int64_t)sizeof(((struct type *)0)->name)},
#define WHOLE(type) {#type, "", 0, (int64_t)sizeof(struct type)},

static const struct pah_layout table[] = {
#include "layout.inc"
};

const struct pah_layout *pah_layout_at(int64_t i) {
  return i >= 0 && i < (int64_t)(sizeof table / sizeof *table) ? &table[i] : NULL;
}
