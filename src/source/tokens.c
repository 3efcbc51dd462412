/* tokens.c - reads tokens of C++ as the phase behind the preprocessor sees them, with their places, so that a pass can
 * drop or replace some and leave all else, lines above all, as it stands. Words are numbered, which makes a set of
 * words an array. Read next: items.c. */
#include "tokens.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

static int is_word(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 128;
}

/* ---- Words by number ---- */

static uint32_t hash_of(const char *at, uint32_t length) {
  uint32_t h = 2166136261u;
  for (uint32_t i = 0; i < length; i++) h = (h ^ (uint8_t)at[i]) * 16777619u;
  return h;
}

/* The bucket where the word stands, or would. */
static uint32_t *find_bucket(const struct pah_tokens *t, const char *at, uint32_t length) {
  uint32_t mask = (uint32_t)t->bucket_count - 1, b = hash_of(at, length) & mask;
  for (; t->buckets[b]; b = (b + 1) & mask) {
    uint32_t w = t->buckets[b];
    if (t->lengths[w] == length && !memcmp(t->words[w], at, length)) break;
  }
  return &t->buckets[b];
}

static int grow_words(struct pah_tokens *t) {
  int room = t->word_room ? 2 * t->word_room : 1024, buckets = 4 * room;
  const char **words = realloc(t->words, (size_t)room * sizeof *words);
  if (words) t->words = words;
  uint32_t *lengths = realloc(t->lengths, (size_t)room * sizeof *lengths);
  if (lengths) t->lengths = lengths;
  uint32_t *table = calloc((size_t)buckets, sizeof *table);
  if (!words || !lengths || !table) {
    free(table);
    return 0;
  }
  free(t->buckets);
  t->buckets = table;
  t->bucket_count = buckets;
  t->word_room = room;
  for (int w = 1; w <= t->word_count; w++) *find_bucket(t, t->words[w], t->lengths[w]) = (uint32_t)w;
  return 1;
}

static uint32_t number_of(struct pah_tokens *t, const char *at, uint32_t length) {
  if (t->word_count + 2 > t->word_room && !grow_words(t)) return 0;
  uint32_t *bucket = find_bucket(t, at, length);
  if (!*bucket) {
    *bucket = (uint32_t)++t->word_count;
    t->words[*bucket] = at;
    t->lengths[*bucket] = length;
  }
  return *bucket;
}

uint32_t pah_tokens_word(const struct pah_tokens *t, const char *word) {
  return t->bucket_count ? *find_bucket(t, word, (uint32_t)strlen(word)) : 0;
}

int pah_token_is(const struct pah_token *token, const char *text) {
  return strlen(text) == token->length && !memcmp(token->at, text, token->length);
}

/* ---- The ends of tokens ---- */

static const char *end_of_line(const char *p) {
  while (*p && *p != '\n') p += p[0] == '\\' && p[1] ? 2 : 1;
  return p;
}

/* A line of the preprocessor: comments of several lines that begin in it belong to it. */
static const char *end_of_directive(const char *p) {
  while (*p && *p != '\n') {
    if (p[0] == '/' && p[1] == '*') {
      const char *end = strstr(p + 2, "*/");
      p = end ? end + 2 : p + strlen(p);
    } else {
      p += p[0] == '\\' && p[1] ? 2 : 1;
    }
  }
  return p;
}

static const char *end_of_quoted(const char *p) {
  char quote = *p++;
  while (*p && *p != quote && *p != '\n') p += *p == '\\' && p[1] ? 2 : 1;
  if (*p == quote) p++;
  while (is_word(*p)) p++;
  return p;
}

/* At the quote of R"x( ... )x". */
static const char *end_of_raw(const char *p) {
  const char *open = strchr(p, '(');
  char close[24];
  if (!open || open - p - 1 > 16) return end_of_quoted(p);
  snprintf(close, sizeof close, ")%.*s\"", (int)(open - p - 1), p + 1);
  const char *end = strstr(open, close);
  return end ? end + strlen(close) : p + strlen(p);
}

static const char *end_of_number(const char *p) {
  while (is_word(*p) || *p == '.' || (*p == '\'' && is_word(p[1])) ||
         ((*p == '+' || *p == '-') && strchr("eEpP", p[-1])))
    p++;
  return p;
}

static const char *skip_blanks(const char *p) {
  for (;;) {
    if (isspace((unsigned char)*p)) {
      p++;
    } else if (p[0] == '\\' && (p[1] == '\n' || p[1] == '\r')) {
      p += 2;
    } else if (p[0] == '/' && p[1] == '/') {
      p = end_of_line(p);
    } else if (p[0] == '/' && p[1] == '*') {
      const char *end = strstr(p + 2, "*/");
      p = end ? end + 2 : p + strlen(p);
    } else {
      return p;
    }
  }
}

/* One of the operators that are a token of two characters, or of one. */
static const char *end_of_mark(const char *p, char *mark) {
  static const char *const pairs[] = {"::", "->", "&&", "||", "<=", ">=", "==", "!="};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    if (p[0] == pairs[i][0] && p[1] == pairs[i][1]) {
      *mark = i == 0 ? 'S' : i == 1 ? 'A' : 0;
      return p + 2;
    }
  *mark = *p;
  return p + 1;
}

/* ---- Reading ---- */

struct reader {
  struct pah_tokens *t;
  int (*system_of)(void *, const char *path, int flagged);
  void *data;
  int failed;
};

static void add(struct reader *r, int kind, const char *at, const char *end, char mark) {
  struct pah_tokens *t = r->t;
  if (t->count + 2 > t->room) {
    int room = t->room ? 2 * t->room : 4096;
    struct pah_token *more = realloc(t->list, (size_t)room * sizeof *more);
    if (!more) {
      r->failed = 1;
      return;
    }
    t->list = more;
    t->room = room;
  }
  struct pah_token *token = &t->list[t->count++];
  *token = (struct pah_token){.at = at, .length = (uint32_t)(end - at), .kind = (uint8_t)kind, .mark = mark};
  if (kind == PAH_WORD && !(token->word = number_of(t, at, token->length))) r->failed = 1;
}

/* At "# 12 "path" 1 3": is what follows the host's? -1: no line marker. */
static int marker(const struct reader *r, const char *p) {
  char path[4096];
  size_t n = 0;
  if (!r->system_of || p[0] != '#' || p[1] != ' ' || !isdigit((unsigned char)p[2])) return -1;
  p = p + 2 + strspn(p + 2, "0123456789");
  if (p[0] != ' ' || p[1] != '"') return -1;
  for (p += 2; *p && *p != '"' && *p != '\n' && n + 1 < sizeof path; p++) {
    if (*p == '\\' && p[1]) p++;
    path[n++] = *p;
  }
  path[n] = 0;
  int flagged = 0;
  for (p++; *p && *p != '\n'; p++) flagged |= *p == '3';
  return r->system_of(r->data, path, flagged);
}

/* From the line behind a marker of the host's text to the next marker of another. */
static const char *end_of_system(const struct reader *r, const char *p) {
  while (*p) {
    if (*p == '#' && marker(r, p) == 0) break;
    const char *end = strchr(p, '\n');
    p = end ? end + 1 : p + strlen(p);
  }
  return p;
}

/* What the preprocessor leaves stands in the first column: a `#` behind blanks was made by a macro. */
static int begins_directive(const struct reader *r, const char *p) {
  const char *text = r->t->text;
  while (!r->system_of && p > text && (p[-1] == ' ' || p[-1] == '\t')) p--;
  return p == text || p[-1] == '\n';
}

static const char *skip_directive(const struct reader *r, const char *p) {
  int system = marker(r, p);
  const char *end = end_of_directive(p);
  return system <= 0 || !*end ? end : end_of_system(r, end + 1);
}

static const char *read_token(struct reader *r, const char *p) {
  const char *end = p;
  if (*p == '#' && begins_directive(r, p)) return skip_directive(r, p);
  if (*p == '"' || *p == '\'') {
    end = end_of_quoted(p);
    add(r, *p == '"' ? PAH_STRING : PAH_CHARACTER, p, end, 0);
  } else if (isdigit((unsigned char)*p) || (*p == '.' && isdigit((unsigned char)p[1]))) {
    end = end_of_number(p);
    add(r, PAH_NUMBER, p, end, 0);
  } else if (is_word(*p)) {
    while (is_word(*end)) end++;
    int is_prefix = end - p <= 3 && (*end == '"' || *end == '\'') && strspn(p, "uU8LR") >= (size_t)(end - p);
    int kind = is_prefix ? *end == '"' ? PAH_STRING : PAH_CHARACTER : PAH_WORD;
    if (is_prefix) end = end[-1] == 'R' ? end_of_raw(end) : end_of_quoted(end);
    add(r, kind, p, end, 0);
  } else {
    char mark;
    end = end_of_mark(p, &mark);
    add(r, PAH_MARK, p, end, mark);
  }
  return end;
}

int pah_tokens_read(struct pah_tokens *t, const char *text, int (*system_of)(void *, const char *, int), void *data) {
  *t = (struct pah_tokens){.text = text};
  struct reader r = {.t = t, .system_of = system_of, .data = data};
  for (const char *p = skip_blanks(text); *p && !r.failed; p = skip_blanks(p)) p = read_token(&r, p);
  for (int i = 0; i < PAH_AHEAD; i++) add(&r, PAH_END, text + strlen(text), text + strlen(text), 0);
  if (r.failed) {
    pah_tokens_free(t);
    return pah_fail(PAH_ENOMEM, "source: no memory for its tokens");
  }
  t->count -= PAH_AHEAD;
  return PAH_OK;
}

void pah_tokens_free(struct pah_tokens *t) {
  free(t->list);
  free(t->words);
  free(t->lengths);
  free(t->buckets);
  *t = (struct pah_tokens){.count = 0};
}

/* ---- Walking ---- */

static int close_angle(const struct pah_tokens *t, int i, int last) {
  int depth = 0;
  while (i < last) {
    char mark = t->list[i].mark;
    if (mark == ';' || mark == '}' || mark == ')' || mark == ']') return i; /* it was a comparison */
    if (mark == '(' || mark == '[' || mark == '{') {
      i = pah_tokens_close(t, i, last);
      continue;
    }
    if (mark == '<') depth++;
    i++;
    if (mark == '>' && --depth == 0) return i;
  }
  return last;
}

int pah_tokens_close(const struct pah_tokens *t, int i, int last) {
  int depth = 0;
  if (t->list[i].mark == '<') return close_angle(t, i, last);
  for (; i < last; i++) {
    char mark = t->list[i].mark;
    if (mark == '(' || mark == '[' || mark == '{') depth++;
    if ((mark == ')' || mark == ']' || mark == '}') && --depth == 0) return i + 1;
  }
  return last;
}

int pah_tokens_balanced(const struct pah_tokens *t) {
  enum { DEPTH = 256 };
  char open[DEPTH];
  int depth = 0;
  for (int i = 0; i < t->count; i++) {
    char mark = t->list[i].mark;
    if (mark == '(' || mark == '[' || mark == '{') {
      if (depth == DEPTH) return 0;
      open[depth++] = mark == '(' ? ')' : mark == '[' ? ']' : '}';
    } else if (mark == ')' || mark == ']' || mark == '}') {
      if (!depth || open[--depth] != mark) return 0;
    }
  }
  return depth == 0;
}
