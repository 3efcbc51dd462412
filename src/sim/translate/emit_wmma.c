/* emit_wmma.c - the C++ of wmma: loads and stores of fragments, and their product, as nvcuda::wmma becomes in PTX. The
 * parts of the word may stand in any order that ptxas takes. Read next: rows.h, sim/include/pah_sim/ptx/wmma.h. */
#include <stdlib.h>
#include <string.h>

#include "emit.h"

struct wmma_word {
  char what; /* of a load or store: a, b, c, d */
  int m, n, k;
  int rows[2]; /* layouts: is it row? */
  int layouts; /* how many there are */
  char types[4][8];
  int count;        /* of types */
  const char *mode; /* "rn" */
  int saturates, is_xor;
};

/* The part is one of the words in the list. */
static int is_one_of(const char *list, const char *part) {
  const size_t length = strlen(part);
  for (const char *at = list; (at = strstr(at, part)) != NULL; at += length)
    if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length])) return 1;
  return 0;
}

static void read_part(struct wmma_word *w, const char *part) {
  static const char *const modes[] = {"rn", "rz", "rm", "rp"};
  if (strlen(part) == 1) w->what = part[0];
  if (part[0] == 'm' && part[1] >= '0' && part[1] <= '9') sscanf(part, "m%dn%dk%d", &w->m, &w->n, &w->k);
  if (is_one_of("row col", part) && w->layouts < 2) w->rows[w->layouts++] = part[0] == 'r';
  if (is_one_of("f16 f32 bf16 tf32 s8 u8 s4 u4 b1 s32 f64", part) && w->count < 4) strcpy(w->types[w->count++], part);
  for (int i = 0; i < 4; i++)
    if (!strcmp(part, modes[i])) w->mode = modes[i];
  if (!strcmp(part, "satfinite")) w->saturates = 1;
  if (!strcmp(part, "xor")) w->is_xor = 1;
}

static void read_word(struct wmma_word *w, const char *word) {
  *w = (struct wmma_word){.mode = "rn"};
  while (*word) {
    const size_t length = strcspn(word, ".");
    char part[24] = "";
    if (length < sizeof part) memcpy(part, word, length);
    read_part(w, part);
    word += length + (word[length] == '.');
  }
}

/* "<t_f16, 16, 16, 16" */
static void put_shape(const struct special *p, const struct wmma_word *w, const char *type) {
  char text[64];
  snprintf(text, sizeof text, "<t_%s, %d, %d, %d", type, w->m, w->n, w->k);
  special_put(p, text);
}

/* i_registers<8>{{a, b, ...}}, of 32 bits, or of 64 for f64. */
static void put_fragment(const struct special *p, const struct ptx_operand *o, const char *type) {
  const int count = o->kind == PTX_VECTOR ? o->count : 1;
  char text[64];
  snprintf(text, sizeof text, "i_registers<t_%s, %d>{{", type, count);
  special_put(p, text);
  for (int i = 0; i < count; i++) {
    if (i) special_put(p, ", ");
    ptx_emit_operand(p->e, o->kind == PTX_VECTOR ? &o->items[i] : o);
  }
  special_put(p, "}}");
}

static int registers_of(const struct ptx_operand *o) {
  return o->kind == PTX_VECTOR ? o->count : 1;
}

/* The stride, or what it is when it is left out: a row, or a column, of the whole matrix. */
static void put_stride(const struct special *p, const struct wmma_word *w) {
  const int rows = w->what == 'b' ? w->k : w->m, columns = w->what == 'a' ? w->k : w->n;
  if (p->s->count > 2)
    ptx_emit_operand(p->e, special_operand(p, 2));
  else
    fprintf(p->e->out, "%d", w->rows[0] ? columns : rows);
}

static int load(const struct special *p, const struct wmma_word *w) {
  char text[64];
  ptx_emit_begin(p->e, special_operand(p, 0));
  special_put(p, w->what == 'c' ? "i_wmma_load_sums" : "i_wmma_load");
  put_shape(p, w, w->types[0]);
  snprintf(text, sizeof text, ", '%c', %d, %d>(", w->what, registers_of(special_operand(p, 0)), w->rows[0]);
  special_put(p, text);
  ptx_emit_pointer(p->e, special_operand(p, 1), p->m);
  special_put(p, ", ");
  put_stride(p, w);
  special_put(p, ")");
  ptx_emit_end(p->e, special_operand(p, 0));
  return 1;
}

static int store(const struct special *p, const struct wmma_word *w) {
  special_put(p, "i_wmma_store");
  put_shape(p, w, w->types[0]);
  fprintf(p->e->out, ", %d>(", w->rows[0]);
  ptx_emit_pointer(p->e, special_operand(p, 0), p->m);
  special_put(p, ", ");
  put_stride(p, w);
  special_put(p, ", ");
  put_fragment(p, special_operand(p, 1), w->types[0]);
  special_put(p, ");");
  return 1;
}

/* .dtype.atype.btype.ctype, or of f16 .dtype.ctype */
static int product(const struct special *p, const struct wmma_word *w) {
  const char *d = w->types[0], *c = w->types[w->count - 1], *a = w->count == 4 ? w->types[1] : "f16";
  char text[96];
  if (p->s->count != 4) return 0;
  ptx_emit_begin(p->e, special_operand(p, 0));
  special_put(p, "i_wmma");
  put_shape(p, w, a);
  const char *mode = !strcmp(w->mode, "rz")   ? "RZ"
                     : !strcmp(w->mode, "rp") ? "RU"
                     : !strcmp(w->mode, "rm") ? "RD"
                                              : "RN";
  const char *flag = w->saturates ? "PAH_SIM_MMA_SATFINITE" : w->is_xor ? "PAH_SIM_MMA_XOR" : "0";
  if (!strcmp(a, "b1") && !w->is_xor) flag = "PAH_SIM_MMA_AND";
  if (!strcmp(a, "f64")) flag = "0";
  snprintf(text, sizeof text, ", t_%s, t_%s, %s, PAH_SIM_%s>(", d, c, flag, mode);
  special_put(p, text);
  put_fragment(p, special_operand(p, 1), a);
  special_put(p, ", ");
  put_fragment(p, special_operand(p, 2), a);
  special_put(p, ", ");
  put_fragment(p, special_operand(p, 3), c);
  special_put(p, ")");
  ptx_emit_end(p->e, special_operand(p, 0));
  return 1;
}

/* Registers of operand i of the instruction are as many as the shape and the type say; 0: there is no such shape. */
static int registers_wanted(const struct wmma_word *w, char what, const char *type) {
  const int sums = w->m * w->n / 32, is_8 = is_one_of("s8 u8", type), small = is_one_of("s4 u4 b1 f64", type);
  if (what == 'c' || what == 'd') return !strcmp(type, "f16") ? sums / 2 : sums;
  if (small) return 1;
  if (!strcmp(type, "f16")) return 8;
  const int outer = what == 'a' ? w->m : w->n;
  return outer * w->k / 32 / (is_8 ? 4 : !strcmp(type, "tf32") ? 1 : 2);
}

static int shape_fits(const struct wmma_word *w, const char *a) {
  const int k = !strcmp(a, "tf32")      ? 8
                : is_one_of("s4 u4", a) ? 32
                : !strcmp(a, "b1")      ? 128
                : !strcmp(a, "f64")     ? 4
                                        : 16;
  if (is_one_of("s4 u4 b1 f64", a)) return w->m == 8 && w->n == 8 && w->k == k;
  if (!strcmp(a, "tf32")) return w->m == 16 && w->n == 16 && w->k == k;
  return w->m * w->n == 256 && w->k == 16;
}

static void check(const struct special *p, const struct wmma_word *w, int i, char what, const char *type) {
  const int count = registers_of(special_operand(p, i)), wanted = registers_wanted(w, what, type);
  if (count != wanted)
    ptx_emit_error(p->e, "%.80s: operand %d has %d registers, must have %d", p->s->word, i, count, wanted);
}

int special_wmma(const struct special *p) {
  struct wmma_word w;
  read_word(&w, p->s->word);
  const int is_product = !strncmp(p->s->word, "wmma.mma", 8), is_store = !strncmp(p->s->word, "wmma.store", 10);
  if (!w.count || !w.layouts || (is_product && (w.count == 3 || w.count < 2 || w.layouts < 2))) return 0;
  if (!is_product) {
    if ((w.what == 'a' || w.what == 'b') && !shape_fits(&w, w.types[0])) return 0;
    check(p, &w, is_store, w.what, w.types[0]);
    return *p->e->error ? 1 : is_store ? store(p, &w) : load(p, &w);
  }
  const char *a = w.count == 4 ? w.types[1] : "f16";
  if (!shape_fits(&w, a) || (w.count == 4 && strcmp(a, w.types[2]) != 0)) return 0;
  check(p, &w, 0, 'd', w.types[0]);
  check(p, &w, 1, 'a', a);
  check(p, &w, 2, 'b', a);
  check(p, &w, 3, 'c', w.types[w.count - 1]);
  return *p->e->error ? 1 : product(p, &w);
}
