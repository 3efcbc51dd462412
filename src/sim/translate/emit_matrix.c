/* emit_matrix.c - the C++ of tensor copies, mma.sync and wgmma: shapes, types and layouts stand in the word of the
 * instruction, many registers in its operands. Read next: rows.h, sim/abi_ptx.h. */
#include <stdlib.h>
#include <string.h>

#include "emit.h"

/* ---- Tensor copies: [shared], [map, {x, y}], [mbarrier]; [map, {x, y}], [shared] ---- */

static void tensor(const struct special *p, const struct ptx_operand *map) {
  const struct ptx_operand *at = map->count ? &map->items[0] : map;
  if (at->kind != PTX_VECTOR) ptx_emit_error(p->e, "%.60s: a tensor map needs coordinates: [map, {x, y}]", p->s->word);
  special_put(p, "(const void *)");
  const struct ptx_operand address = {.kind = PTX_ADDRESS, .name = map->name, .plus = map->plus, .value = map->value};
  ptx_emit_address(p->e, &address);
  fprintf(p->e->out, ", %d, pah_sim_coordinates{{", at->count);
  for (int i = 0; i < at->count; i++) {
    special_put(p, i ? ", (int)" : "(int)");
    ptx_emit_operand(p->e, &at->items[i]);
  }
  special_put(p, "}}, ");
}

static void tensor_from(const struct special *p, int multicast) {
  special_put(p, multicast ? "pah_sim_tensor_multicast(" : "pah_sim_tensor_load(");
  ptx_emit_address(p->e, special_operand(p, 0));
  special_put(p, ", ");
  tensor(p, special_operand(p, 1));
  ptx_emit_address(p->e, special_operand(p, 2));
  if (multicast) special_put(p, ", ");
  if (multicast) ptx_emit_operand(p->e, special_operand(p, 3));
  special_put(p, ");");
}

void special_tensor_load(const struct special *p) {
  tensor_from(p, 0);
}

void special_tensor_multicast(const struct special *p) {
  tensor_from(p, 1);
}

void special_tensor_store(const struct special *p) {
  special_put(p, "pah_sim_tensor_store(");
  tensor(p, special_operand(p, 0));
  ptx_emit_address(p->e, special_operand(p, 1));
  special_put(p, ");");
}

void special_tensor_reduce(const struct special *p) {
  special_put(p, "pah_sim_tensor_reduce(");
  tensor(p, special_operand(p, 0));
  ptx_emit_address(p->e, special_operand(p, 1));
  special_put(p, ", i_operation(");
  special_put(p, p->m->choices[0]);
  special_put(p, "));");
}

/* [map], value; of a dimension [map], dimension, value. */
int special_map_replace(const struct special *p) {
  static const char *const fields[][2] = {{"global_address", "ADDRESS"},
                                          {"rank", "RANK"},
                                          {"box_dim", "BOX"},
                                          {"global_dim", "SIZE"},
                                          {"global_stride", "STRIDE"},
                                          {"element_stride", "STEP"},
                                          {"elemtype", "TYPE"},
                                          {"interleave_layout", "INTERLEAVE"},
                                          {"swizzle_mode", "SWIZZLE"},
                                          {"fill_mode", "FILL"}};
  const char *field = p->s->word + strlen(p->m->row->name) + 1;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    const size_t n = strlen(fields[i][0]);
    if (strncmp(field, fields[i][0], n) != 0 || field[n] != '.') continue;
    special_put(p, "pah_sim_map_replace(");
    ptx_emit_pointer(p->e, special_operand(p, 0), p->m);
    fprintf(p->e->out, ", PAH_SIM_MAP_%s, (int)(", fields[i][1]);
    if (p->s->count > 2) ptx_emit_operand(p->e, special_operand(p, 1));
    special_put(p, p->s->count > 2 ? "), " : "0), ");
    ptx_emit_operand(p->e, special_operand(p, p->s->count > 2 ? 2 : 1));
    special_put(p, ");");
    return 1;
  }
  return 0;
}

/* ---- mma.sync of shapes and types beside those of rows.h: {d}, {a}, {b}, {c} ---- */

static int index_in(const char *const *list, const char *part, size_t length) {
  for (int i = 0; list[i]; i++)
    if (strlen(list[i]) == length && !strncmp(list[i], part, length)) return i;
  return -1;
}

struct mma_word {
  int m, k, flags;
  int types[4], count; /* D, A, B, C: numbers in the list below */
  int mode;            /* of f64: PAH_SIM_RN and its like */
};

enum { TYPE_F16, TYPE_E4M3, TYPE_E5M2, TYPE_S8, TYPE_U8, TYPE_S4, TYPE_U4, TYPE_B1, TYPE_F32, TYPE_S32, TYPE_F64 };

static int read_mma(const char *word, struct mma_word *w) {
  static const char *const types[] = {"f16", "e4m3", "e5m2", "s8", "u8", "s4", "u4", "b1", "f32", "s32", "f64", NULL};
  static const char *const modes[] = {"rn", "rz", "rp", "rm", NULL};
  static const char *const flags[] = {"satfinite", "xor", "and", NULL}; /* PAH_SIM_MMA_SATFINITE and its like */
  int majors = 0, n;
  *w = (struct mma_word){0};
  for (const char *part = word + strlen("mma.sync.aligned"); *part;) {
    const size_t length = strcspn(++part, ".");
    const int type = index_in(types, part, length), mode = index_in(modes, part, length);
    const int flag = index_in(flags, part, length);
    if (part[0] == 'm' && sscanf(part, "m%dn%dk%d", &w->m, &n, &w->k) == 3) {
      if (n != 8) return 0;
    } else if ((!strncmp(part, "row", length) || !strncmp(part, "col", length)) && length == 3) {
      if ((part[0] == 'r') == majors) w->flags |= majors ? 16 : 8; /* other than row, col */
      majors++;
    } else if (type >= 0 && w->count < 4) {
      w->types[w->count++] = type;
    } else if (mode >= 0) {
      w->mode = mode;
    } else if (flag >= 0) {
      w->flags |= 1 << flag;
    } else if (strncmp(part, "popc", length) != 0 || length != 4) {
      return 0;
    }
    part += length;
  }
  return w->count == 4 && majors == 2;
}

/* Registers of A, B and C; 0: there is no such shape of these types. */
static int mma_registers(const struct mma_word *w, int registers[3]) {
  static const int bits[] = {16, 8, 8, 8, 8, 4, 4, 1, 32, 32, 64};
  const int d = w->types[0], a = w->types[1], b = w->types[2], c = w->types[3];
  if (a == TYPE_F64) {
    registers[0] = w->m * w->k / 32, registers[1] = 8 * w->k / 32, registers[2] = w->m * 8 / 32;
    const int fits = w->m == 8 ? w->k == 4 : w->m == 16 && (w->k == 4 || w->k == 8 || w->k == 16);
    return fits && b == TYPE_F64 && c == TYPE_F64 && d == TYPE_F64 && !w->flags;
  }
  if (a == TYPE_F16) { /* four products of a quarter of the warp each */
    registers[0] = registers[1] = 2, registers[2] = c == TYPE_F16 ? 4 : 8;
    const int sums = (d == TYPE_F32 && (c == TYPE_F32 || c == TYPE_F16)) || (d == TYPE_F16 && c == TYPE_F16);
    return w->m == 8 && w->k == 4 && b == TYPE_F16 && sums && !(w->flags & 7);
  }
  const int is_fp8 = a == TYPE_E4M3 || a == TYPE_E5M2, each = 32 / bits[a], quad = 4 * each;
  const int second = is_fp8 ? b == TYPE_E4M3 || b == TYPE_E5M2 : b >= TYPE_S8 && bits[b] == bits[a];
  const int sums = is_fp8 ? (d == TYPE_F32 || d == TYPE_F16) && w->m == 16 : d == TYPE_S32;
  const int flags = a == TYPE_B1 ? (w->flags == 2 || w->flags == 4) : w->flags == 0 || (w->flags == 1 && !is_fp8);
  registers[0] = (w->m / 8) * (w->k / quad), registers[1] = w->k / quad;
  registers[2] = w->m / 8 * (d == TYPE_F16 ? 1 : 2);
  return a <= TYPE_B1 && second && sums && c == d && flags && (w->m == 8 ? w->k == quad : w->m == 16) &&
         (w->k == quad || w->k == 2 * quad);
}

static void put_registers(const struct special *p, const struct ptx_operand *o, int count) {
  special_put(p, "{");
  for (int i = 0; i < count; i++) {
    if (i) special_put(p, ", ");
    ptx_emit_operand(p->e, o->kind == PTX_VECTOR ? &o->items[i] : o);
  }
  special_put(p, "}");
}

int special_mma(const struct special *p) {
  struct mma_word w;
  int registers[3];
  if (!read_mma(p->s->word, &w) || !mma_registers(&w, registers) || p->s->count != 4) return 0;
  const int sums = w.types[0] == TYPE_F64 ? registers[2] : w.types[0] == TYPE_F16 || w.m == 16 ? registers[2] : 0;
  const int results = sums ? sums : w.types[1] == TYPE_F16 ? 8 : registers[2];
  for (int i = 0; i < 4; i++) {
    const struct ptx_operand *o = special_operand(p, i);
    const int count = o->kind == PTX_VECTOR ? o->count : 1, wanted = i ? registers[i - 1] : results;
    if (count != wanted)
      ptx_emit_error(p->e, "%.80s: operand %d has %d registers, must have %d", p->s->word, i, count, wanted);
  }
  if (*p->e->error) return 1;
  ptx_emit_begin(p->e, special_operand(p, 0));
  if (w.types[1] == TYPE_F64)
    fprintf(p->e->out, "pah_sim_mma_f64(%d, %d, pah_sim_doubles{", w.m + 32 * w.k, w.mode);
  else
    fprintf(p->e->out, "pah_sim_mma_form(%d, %d, %d, pah_sim_registers{", w.m + 32 * w.k,
            w.types[1] + 16 * w.types[2] + 256 * w.types[0] + 4096 * w.types[3], w.flags);
  for (int i = 1; i < 4; i++) {
    if (i > 1) special_put(p, ", ");
    put_registers(p, special_operand(p, i), registers[i - 1]);
  }
  special_put(p, "})");
  ptx_emit_end(p->e, special_operand(p, 0));
  return 1;
}

/* ---- wgmma {sums}, a, b, add, sign of a, sign of b, transposed a, transposed b ---- */

struct wgmma_kind {
  const char *word, *kind, *flags;
  int words; /* of the sums, by 8 columns */
};

/* The word without ".satfinite", which stands before or behind the types. */
static const struct wgmma_kind *wgmma_kind(const char *word, int *saturates) {
  static const struct wgmma_kind kinds[] = {
      {"k16.f32.bf16.bf16", "BF16", "0", 4},
      {"k16.f32.f16.f16", "F16", "0", 4},
      {"k16.f16.f16.f16", "F16_F16", "PAH_SIM_WGMMA_F16_SUMS", 2},
      {"k8.f32.tf32.tf32", "TF32", "0", 4},
      {"k32.f32.e4m3.e4m3", "E4M3_E4M3", "0", 4},
      {"k32.f32.e5m2.e5m2", "E5M2_E5M2", "0", 4},
      {"k32.f32.e4m3.e5m2", "E4M3_E5M2", "0", 4},
      {"k32.f32.e5m2.e4m3", "E5M2_E4M3", "0", 4},
      {"k32.f16.e4m3.e4m3", "E4M3_E4M3", "PAH_SIM_WGMMA_F16_SUMS", 2},
      {"k32.f16.e5m2.e5m2", "E5M2_E5M2", "PAH_SIM_WGMMA_F16_SUMS", 2},
      {"k32.f16.e4m3.e5m2", "E4M3_E5M2", "PAH_SIM_WGMMA_F16_SUMS", 2},
      {"k32.f16.e5m2.e4m3", "E5M2_E4M3", "PAH_SIM_WGMMA_F16_SUMS", 2},
      {"k32.s32.s8.s8", "S8", "0", 4},
      {"k32.s32.u8.s8", "S8", "PAH_SIM_WGMMA_UNSIGNED_A", 4},
      {"k32.s32.s8.u8", "S8", "PAH_SIM_WGMMA_UNSIGNED_B", 4},
      {"k32.s32.u8.u8", "S8", "PAH_SIM_WGMMA_UNSIGNED_A | PAH_SIM_WGMMA_UNSIGNED_B", 4},
  };
  char text[128] = "";
  for (const char *at = word; *at && strlen(text) + 2 < sizeof text; at++) {
    if (!strncmp(at, ".satfinite", 10)) {
      *saturates = 1;
      at += 9;
    } else {
      text[strlen(text)] = *at;
    }
  }
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const char *at = strstr(text, kinds[i].word);
    const int is_integer = !strcmp(kinds[i].kind, "S8");
    if (at && !at[strlen(kinds[i].word)] && (is_integer || !*saturates)) return &kinds[i];
  }
  return NULL;
}

/* Where each sum lies: of an asm statement that is the operand itself. */
static void wgmma_sums(const struct special *p, const struct ptx_operand *sums) {
  special_put(p, "float *const pah_d[] = {");
  for (int i = 0; i < sums->count; i++) {
    const struct ptx_operand *o = &sums->items[i];
    const int number = o->kind == PTX_NAME ? ptx_operand_number(p->e, o->name) : -1;
    special_put(p, i ? ", (float *)&(" : "(float *)&(");
    if (number >= 0 && (number >= p->e->operand_count || !p->e->operands[number].is_output))
      ptx_emit_error(p->e, "sum %d of %.80s is %s, must be an output of the asm statement", i, p->s->word, o->name);
    else if (number >= 0)
      fputs(p->e->operands[number].expression, p->e->out);
    else
      ptx_emit_place(p->e, o);
    special_put(p, ")");
  }
  special_put(p, "}; ");
}

static void flag(const struct special *p, int at, const char *code) {
  if (at >= p->s->count) return;
  special_put(p, " | ((int)");
  ptx_emit_operand(p->e, special_operand(p, at));
  special_put(p, code);
}

int special_wgmma(const struct special *p) {
  int saturates = 0;
  const char *word = p->s->word, *shape = strstr(word, ".m64n");
  const struct wgmma_kind *kind = wgmma_kind(word, &saturates);
  const struct ptx_operand *sums = special_operand(p, 0), *a = special_operand(p, 1);
  const int n = shape ? atoi(shape + 5) : 0, in_registers = a->kind == PTX_VECTOR;
  if (!kind || n < 8 || n > 256 || n % 8) return 0;
  const int words = n / 8 * kind->words;
  if (sums->kind != PTX_VECTOR || sums->count != words || (in_registers && a->count != 4))
    ptx_emit_error(p->e, "%.80s needs {%d registers} of sums and A as a descriptor or {4 registers}", word, words);
  if (*p->e->error) return 1;
  special_put(p, "{ ");
  wgmma_sums(p, sums);
  fprintf(p->e->out, "pah_ptx::i_wgmma<%d>(PAH_SIM_MMA_%s, %s | ", n, kind->kind, kind->flags);
  special_put(p, saturates ? "PAH_SIM_WGMMA_SATFINITE | " : "");
  special_put(p, in_registers ? "PAH_SIM_WGMMA_REGISTERS" : "0");
  flag(p, 3, " != 0 ? PAH_SIM_WGMMA_ADD : 0)");
  flag(p, 4, " < 0 ? PAH_SIM_WGMMA_NEGATE_A : 0)");
  flag(p, 5, " < 0 ? PAH_SIM_WGMMA_NEGATE_B : 0)");
  if (!in_registers) flag(p, 6, " ? PAH_SIM_WGMMA_TRANS_A : 0)");
  flag(p, in_registers ? 6 : 7, " ? PAH_SIM_WGMMA_TRANS_B : 0)");
  special_put(p, ", pah_d, ");
  if (in_registers) special_put(p, "0");
  if (!in_registers) ptx_emit_operand(p->e, a);
  special_put(p, ", ");
  ptx_emit_operand(p->e, special_operand(p, 2));
  special_put(p, ", i_words(");
  for (int i = 0; in_registers && i < a->count; i++) {
    if (i) special_put(p, ", ");
    ptx_emit_operand(p->e, &a->items[i]);
  }
  special_put(p, ")); }");
  return 1;
}
