/* table.c - finds the row for the word of an instruction, as "ld.global.v4.u32": the row's name is how it begins, and
 * each part that follows must be a type, a word or a hint that the row allows. Read next: rows.h. */
#include "table.h"

#include <string.h>

#include "sim/include/pah_sim/ptx/words.h"

/* clang-format off */
const struct ptx_row ptx_rows[] = {
#include "rows.h"
  {NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

/* Is the part in a list of words with blanks? "a*" stands for all that begin so. */
static int is_listed(const char *list, const char *part, size_t length) {
  while (*list) {
    const size_t n = strcspn(list, " ");
    const int star = n && list[n - 1] == '*';
    if (star ? length >= n - 1 && !strncmp(list, part, n - 1) : n == length && !strncmp(list, part, n)) return 1;
    list += n;
    list += strspn(list, " ");
  }
  return 0;
}

/* Types by the letters of a row. */
static const struct {
  char letter;
  const char *types;
} type_groups[] = {{'i', "u16 u32 u64 s16 s32 s64 b32 b64"},
                   {'b', "b16 b32 b64"},
                   {'8', "u8 s8 b8"},
                   {'p', "pred"},
                   {'f', "f32 f64"},
                   {'h', "f16 bf16 f16x2 bf16x2"},
                   {'w', "u16x2 s16x2"},
                   {'q', "b128"},
                   {'x', "tf32 e4m3x2 e5m2x2"}};

static const char *known(const char *const *list, size_t count, const char *part, size_t length) {
  for (size_t i = 0; i < count; i++)
    if (strlen(list[i]) == length && !strncmp(list[i], part, length)) return list[i];
  return NULL;
}

#define X(word) #word,
static const char *const types[] = {PAH_PTX_TYPES(X)};
static const char *const flags[] = {PAH_PTX_FLAGS(X)};
static const char *const choices[] = {PAH_PTX_CHOICES(X)};
#undef X
#define COUNT(list) (sizeof(list) / sizeof *(list))

static int take_type(const struct ptx_row *row, const char *part, size_t length, struct ptx_match *m) {
  for (size_t i = 0; i < COUNT(type_groups); i++) {
    if (!strchr(row->types, type_groups[i].letter) || !is_listed(type_groups[i].types, part, length)) continue;
    if (m->types[1]) return 0;
    m->types[m->types[0] != NULL] = known(types, COUNT(types), part, length);
    return 1;
  }
  return 0;
}

static int take_word(const struct ptx_row *row, const char *part, size_t length, struct ptx_match *m) {
  if (!is_listed(row->words, part, length)) return 0;
  const char *flag = known(flags, COUNT(flags), part, length), *choice = known(choices, COUNT(choices), part, length);
  if (choice) {
    /* A row with two lists of words, as the operation and the order of an atomic: each has its place. */
    static const char orders[] = "volatile relaxed acquire release acq_rel", booleans[] = "and or xor";
    const int second = (is_listed(orders, part, length) && is_listed(row->words, "relaxed", 7)) ||
                       (is_listed(booleans, part, length) && is_listed(row->words, "ltu", 3));
    if (strcmp(m->choices[second], "w_none") != 0) return 0;
    snprintf(m->choices[second], sizeof m->choices[second], "w_%s", choice);
  } else if (flag) {
    const size_t n = strlen(m->flags);
    snprintf(m->flags + n, sizeof m->flags - n, "%sm_%s", n ? "|" : "", flag);
  }
  return choice || flag;
}

static int fits(const struct ptx_row *row, const char *word, struct ptx_match *m) {
  const size_t n = strlen(row->name);
  if (strncmp(word, row->name, n) != 0 || (word[n] && word[n] != '.')) return 0;
  *m = (struct ptx_match){.row = row, .choices = {"w_none", "w_none"}, .vector = 1};
  for (const char *part = word + n; *part;) {
    const size_t length = strcspn(++part, ".");
    if (!take_type(row, part, length, m) && !take_word(row, part, length, m) && !is_listed(row->hints, part, length))
      return 0;
    if (length == 2 && part[0] == 'v') m->vector = part[1] - '0';
    part += length;
  }
  if (!*m->flags) strcpy(m->flags, "0");
  m->is_shared = strstr(word, ".shared") != NULL;
  m->is_local = strstr(word, ".local") != NULL;
  m->has_hint = strstr(word, "L2::cache_hint") != NULL;
  return m->types[0] || !*row->types;
}

int ptx_row_operands(const struct ptx_row *row) {
  int count = row->text[0] == '=';
  for (const char *at = strchr(row->text, '$'); at; at = strchr(at + 1, '$')) {
    const char digit = at[1] >= '0' && at[1] <= '9' ? at[1] : at[1] ? at[2] : 0;
    if (digit >= '0' && digit <= '9' && digit - '0' >= count) count = digit - '0' + 1;
  }
  return count;
}

int ptx_find(const char *word, int operands, struct ptx_match *m) {
  for (const struct ptx_row *row = ptx_rows; row->name; row++) {
    if (!fits(row, word, m)) continue;
    if (row->text[0] == '*' || ptx_row_operands(row) == operands - m->has_hint) return 1;
  }
  return 0;
}

void ptx_write_table(FILE *f) {
  for (const struct ptx_row *row = ptx_rows; row->name; row++) {
    if (row > ptx_rows && !strcmp(row->name, row[-1].name)) continue;
    fprintf(f, "%s\n", row->name);
  }
}
