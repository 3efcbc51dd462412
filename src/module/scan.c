/* scan.c - finds kernels and includes in the text of a CUDA source by its tokens alone, so that a module knows the
 * names to compile and the headers it depends on before any compiler runs. What it misses is compiled when it is asked
 * for by name (module.c). */
#include "scan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Tokens: identifiers, and single characters for all else ---- */

enum { NAME_SIZE = 256, MAX_DEPTH = 64 };

struct scanner {
  const char *at;
  char word[NAME_SIZE]; /* of an identifier; else empty */
  int token;            /* 'a' for an identifier, the character itself, 0 at the end */
};

static const char *skip_line(const char *p) {
  while (*p && *p != '\n') p += p[0] == '\\' && p[1] ? 2 : 1;
  return p;
}

static const char *skip_quoted(const char *p) {
  char quote = *p++;
  while (*p && *p != quote && *p != '\n') p += *p == '\\' && p[1] ? 2 : 1;
  return *p == quote ? p + 1 : p;
}

/* Blanks, comments, literals, numbers and preprocessor lines. */
static const char *skip_noise(const char *p) {
  for (;;) {
    if (isspace((unsigned char)*p)) {
      p++;
    } else if (p[0] == '/' && p[1] == '/') {
      p = skip_line(p);
    } else if (p[0] == '/' && p[1] == '*') {
      const char *end = strstr(p + 2, "*/");
      p = end ? end + 2 : p + strlen(p);
    } else if (*p == '#') {
      p = skip_line(p);
    } else if (*p == '"' || *p == '\'') {
      p = skip_quoted(p);
    } else if (isdigit((unsigned char)*p)) {
      while (isalnum((unsigned char)*p) || *p == '.' || (*p == '\'' && isalnum((unsigned char)p[1]))) p++;
    } else {
      return p;
    }
  }
}

static void next(struct scanner *s) {
  const char *p = skip_noise(s->at);
  s->word[0] = 0;
  if (isalpha((unsigned char)*p) || *p == '_') {
    const char *start = p;
    while (isalnum((unsigned char)*p) || *p == '_') p++;
    size_t n = (size_t)(p - start) < NAME_SIZE - 1 ? (size_t)(p - start) : NAME_SIZE - 1;
    memcpy(s->word, start, n);
    s->word[n] = 0;
    s->token = 'a';
  } else {
    s->token = (unsigned char)*p;
    if (*p) p++;
  }
  s->at = p;
}

/* At an opening bracket: goes past the one that closes it. */
static void skip_brackets(struct scanner *s, int open, int close) {
  int depth = 0;
  for (; s->token; next(s)) {
    if (s->token == open) depth++;
    if (s->token == close && --depth == 0) break;
  }
  next(s);
}

/* ---- Kernels ---- */

struct scope {          /* of one open brace */
  char name[NAME_SIZE]; /* of a namespace; empty: anonymous; "{": no namespace */
};

/* After __global__: the declared name is the last identifier before the parameters. Leaves the scanner there. */
static int kernel_name(struct scanner *s, char *name) {
  name[0] = 0;
  for (next(s); s->token && s->token != ';' && s->token != '{'; next(s)) {
    while (s->token == 'a' && (!strcmp(s->word, "__launch_bounds__") || !strcmp(s->word, "__attribute__") ||
                               !strcmp(s->word, "__cluster_dims__") || !strcmp(s->word, "alignas"))) {
      next(s);
      if (s->token == '(') skip_brackets(s, '(', ')');
    }
    if (s->token == 'a') strcpy(name, s->word);
    if (s->token == '(') return name[0] != 0;
  }
  return 0;
}

static void report(const struct scope *scopes, int depth, const char *name, void (*found)(void *, const char *),
                   void *data) {
  char whole[2 * NAME_SIZE] = "";
  for (int i = 0; i < depth; i++) {
    if (!strcmp(scopes[i].name, "{")) return; /* within a class or a function: not for us */
    if (!scopes[i].name[0]) continue;
    if (strlen(whole) + strlen(scopes[i].name) + 3 > NAME_SIZE) return;
    strcat(whole, scopes[i].name);
    strcat(whole, "::");
  }
  strcat(whole, name);
  found(data, whole);
}

/* At "namespace": "a::b" into name; 1 if a brace follows, which has been read. */
static int namespace_name(struct scanner *s, char *name) {
  name[0] = 0;
  for (next(s); s->token && s->token != '{' && s->token != ';' && s->token != '='; next(s)) {
    if (s->token != 'a' || !strcmp(s->word, "inline")) continue;
    if (strlen(name) + strlen(s->word) + 3 > NAME_SIZE) continue;
    if (name[0]) strcat(name, "::");
    strcat(name, s->word);
  }
  return s->token == '{';
}

void pah_scan_kernels(const char *text, void (*found)(void *data, const char *name), void *data) {
  struct scanner s = {.at = text};
  struct scope scopes[MAX_DEPTH];
  int depth = 0, is_template = 0, external = 0;
  char name[NAME_SIZE];
  for (next(&s); s.token; next(&s)) {
    if (s.token == 'a' && !strcmp(s.word, "template")) {
      is_template = 1;
    } else if (s.token == 'a' && !strcmp(s.word, "extern")) {
      external = 1; /* extern "C" { opens no scope of its own */
    } else if (s.token == 'a' && !strcmp(s.word, "namespace")) {
      if (namespace_name(&s, name) && depth < MAX_DEPTH) strcpy(scopes[depth++].name, name);
    } else if (s.token == 'a' && !strcmp(s.word, "__global__")) {
      if (kernel_name(&s, name) && !is_template) report(scopes, depth, name, found, data);
      if (s.token == '(') skip_brackets(&s, '(', ')');
      is_template = external = 0;
      if (s.token == '{') skip_brackets(&s, '{', '}');
      if (s.token == '}' && depth) depth--;       /* the scope that ends right behind it */
      if (s.token == 'a') s.at -= strlen(s.word); /* read again */
    } else if (s.token == '{') {
      if (depth < MAX_DEPTH) strcpy(scopes[depth++].name, external ? "" : "{");
      is_template = external = 0;
    } else if (s.token == '}') {
      if (depth) depth--;
    } else if (s.token == ';') {
      is_template = external = 0;
    }
  }
}

/* ---- Includes ---- */

/* What the phases of translation before the preprocessor make of a text: lines that end in \ are joined, a comment is
 * a blank, the inside of a raw string is nothing. *clear is 0 if a quote or a comment has no end. */
struct cleaner {
  const char *p;
  char *out;
  int clear;
};

static const char *skip_splices(const char *p) {
  for (;;) {
    if (p[0] == '\\' && p[1] == '\n')
      p += 2;
    else if (p[0] == '\\' && p[1] == '\r' && p[2] == '\n')
      p += 3;
    else
      return p;
  }
}

static void clean_comment(struct cleaner *c) {
  int is_line = c->p[1] == '/';
  c->p += 2;
  while (*c->p && (is_line ? *c->p != '\n' : c->p[0] != '*' || c->p[1] != '/')) c->p++;
  if (!is_line) c->clear &= *c->p != 0;
  if (!is_line && *c->p) c->p += 2;
  *c->out++ = ' ';
}

/* At the quote of R"x( ... )x". */
static void clean_raw(struct cleaner *c) {
  const char *open = strchr(c->p, '('), *end = NULL;
  char close[24];
  if (open && open - c->p - 1 <= 16) {
    snprintf(close, sizeof close, ")%.*s\"", (int)(open - c->p - 1), c->p + 1);
    end = strstr(open, close);
  }
  c->clear &= end != NULL;
  c->p = end ? end + strlen(close) : c->p + 1;
  *c->out++ = '"', *c->out++ = '"';
}

static void clean_quoted(struct cleaner *c) {
  char quote = *c->p;
  do {
    if (*c->p == '\\' && c->p[1]) *c->out++ = *c->p++;
    *c->out++ = *c->p++;
  } while (*c->p && *c->p != quote && *c->p != '\n');
  c->clear &= *c->p == quote;
  if (*c->p == quote) *c->out++ = *c->p++;
}

static int is_word(char c) {
  return isalnum((unsigned char)c) || c == '_';
}

/* `at` has room for the text, joined already. */
static int clean(const char *text, char *at) {
  struct cleaner c = {.p = text, .out = at, .clear = 1};
  while (*c.p) {
    int after_word = c.p > text && is_word(c.p[-1]);
    if (c.p[0] == '/' && (c.p[1] == '/' || c.p[1] == '*'))
      clean_comment(&c);
    else if (*c.p == '"' && after_word && c.p[-1] == 'R')
      clean_raw(&c);
    else if (*c.p == '"' || (*c.p == '\'' && !(after_word && is_word(c.p[1])))) /* 1'000 is a number */
      clean_quoted(&c);
    else
      *c.out++ = *c.p++;
  }
  *c.out = 0;
  return c.clear;
}

/* The name in quotes or angles; 0: it is made by a macro, or too long. */
static int include_name(const char *p, char *name, int *how) {
  p += strspn(p, " \t\v\f");
  char close = *p == '"' ? '"' : *p == '<' ? '>' : 0;
  size_t n = close ? strcspn(p + 1, close == '>' ? ">\n" : "\"\n") : 0;
  if (!n || p[1 + n] != close || n >= NAME_SIZE) return 0;
  memcpy(name, p + 1, n);
  name[n] = 0;
  *how = close == '"' ? PAH_QUOTED : PAH_ANGLED;
  return 1;
}

typedef void found_function(void *data, const char *name, int how);

/* The rest of a directive: #include "name". Returns 0 if its name is a macro's. */
static int read_directive(const char *p, found_function *found, void *data) {
  static const char *const words[] = {"include", "include_next", "import"};
  char name[NAME_SIZE];
  size_t n = 0;
  int is_include = 0, how;
  p += strspn(p, " \t\v\f");
  while (is_word(p[n])) n++;
  for (int i = 0; i < 3; i++) is_include |= strlen(words[i]) == n && !strncmp(p, words[i], n);
  if (is_include && !include_name(p + n, name, &how)) return 0;
  if (is_include) found(data, name, how);
  return 1;
}

/* __has_include(<name>), wherever it stands; the word alone asks for nothing. Returns 0 if a name is a macro's. */
static int read_questions(const char *text, found_function *found, void *data) {
  static const char word[] = "__has_include";
  char name[NAME_SIZE];
  int clear = 1, how;
  for (const char *p = text; (p = strstr(p, word));) {
    p += strlen(word);
    while (is_word(*p)) p++; /* __has_include_next */
    p += strspn(p, " \t\v\f");
    if (*p != '(') continue;
    if (include_name(p + 1, name, &how))
      found(data, name, how | PAH_ASKED);
    else
      clear = 0;
  }
  return clear;
}

int pah_scan_includes(const char *text, found_function *found, void *data, int *asks) {
  size_t size = strlen(text) + 1;
  char *joined = malloc(size), *cleaned = malloc(2 * size), *out = joined;
  int clear = joined && cleaned;
  for (const char *p = text; clear && *(p = skip_splices(p));) *out++ = *p++;
  if (clear) *out = 0;
  *asks = clear;
  if (clear) {
    clear = clean(joined, cleaned);
    *asks = read_questions(cleaned, found, data);
    for (const char *line = cleaned; line; line = strchr(line, '\n'), line += line != NULL) {
      const char *p = line + strspn(line, " \t\v\f");
      if (*p == '#' || (p[0] == '%' && p[1] == ':')) clear &= read_directive(p + (*p == '#' ? 1 : 2), found, data);
    }
  }
  free(joined);
  free(cleaned);
  return clear && *asks;
}
