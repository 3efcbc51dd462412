/* scan.c - finds kernels and includes in the text of a CUDA source by its tokens alone, so that a module knows the
 * names to compile and the headers it depends on before any compiler runs. What it misses is compiled when it is asked
 * for by name (module.c). */
#include "scan.h"

#include <ctype.h>
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

int pah_scan_includes(const char *text, void (*found)(void *data, const char *name, int quoted), void *data) {
  int clear = 1;
  for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : line) {
    const char *p = line + strspn(line, " \t");
    if (*p++ != '#') continue;
    p += strspn(p, " \t");
    if (strncmp(p, "include", 7) != 0) continue;
    p += 7;
    p += strspn(p, " \t");
    char close = *p == '"' ? '"' : *p == '<' ? '>' : 0, name[NAME_SIZE];
    const char *end = close ? strchr(p + 1, close) : NULL;
    if (!end || end - p - 1 >= NAME_SIZE) {
      clear = 0;
      continue;
    }
    memcpy(name, p + 1, (size_t)(end - p - 1));
    name[end - p - 1] = 0;
    found(data, name, close == '"');
  }
  return clear;
}
