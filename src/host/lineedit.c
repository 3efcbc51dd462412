/* lineedit.c - a line from the terminal for the REPL: libedit with history and completion, or plain input without it.
 * Promises: what completes a word is decided in Lua (lua/pah/prompt/complete.lua); Ctrl-C gives up the line; a paste is
 * text, newlines included, until Enter. Read next: host.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <lauxlib.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "config.h"
#include "host.h"
#include "interrupt.h"

/* Leaves the line of `text` without its newline on the stack; or nil at the end, or false after Ctrl-C. */
static int push_line(lua_State *L, const char *text, size_t bytes) {
  if (!text && host_rearm(L)) {
    lua_pushboolean(L, 0);
  } else if (!text) {
    lua_pushnil(L);
  } else {
    while (bytes && (text[bytes - 1] == '\n' || text[bytes - 1] == '\r')) bytes--;
    lua_pushlstring(L, text, bytes);
  }
  return 1;
}

#ifdef HAVE_LIBEDIT
#include <histedit.h>

static struct {
  EditLine *edit;
  History *history;
  lua_State *L; /* while a line is being read; its stack holds the completer at index 2 */
  const char *prompt;
  char *file; /* of the history; NULL: none */
} editor;

static char *prompt(EditLine *edit) {
  (void)edit;
  return (char *)editor.prompt;
}

/* One character of the terminal. Unlike libedit's own, it gives up when a signal arrives. */
static int read_char(EditLine *edit, wchar_t *c) {
  (void)edit;
  mbstate_t state;
  memset(&state, 0, sizeof state);
  for (;;) {
    char byte;
    ssize_t n = read(STDIN_FILENO, &byte, 1);
    if (n < 0 && errno == EINTR && !host_interrupts()) continue;
    if (n <= 0) return (int)n;
    size_t used = mbrtowc(c, &byte, 1, &state);
    if (used == (size_t)-2) continue; /* the rest of the character follows */
    if (used == (size_t)-1) {         /* not a character in this locale: drop it */
      memset(&state, 0, sizeof state);
      continue;
    }
    return 1;
  }
}

/* Tab: the completer gets the line up to the cursor, returns what to insert and, if it is of use, what to show. */
static unsigned char complete(EditLine *edit, int key) {
  (void)key;
  lua_State *L = editor.L;
  const LineInfo *line = el_line(edit);
  int top = lua_gettop(L);
  unsigned char result = CC_ERROR;
  lua_pushvalue(L, 2);
  lua_pushlstring(L, line->buffer, (size_t)(line->cursor - line->buffer));
  if (!lua_pcall(L, 1, 2, 0)) {
    const char *insert = lua_tostring(L, -2), *show = lua_tostring(L, -1);
    if (insert && *insert && !el_insertstr(edit, insert)) result = CC_REFRESH;
    if (show) {
      printf("\n%s\n", show);
      fflush(stdout);
      result = CC_REDISPLAY;
    }
  }
  host_rearm(L); /* Ctrl-C only stops the search */
  lua_settop(L, top);
  return result;
}

/* The terminal has announced a paste: what it sends up to ESC [ 201 ~ becomes part of the line, newlines too, but not
 * those at its end. Nothing in it is a command. */
static unsigned char paste(EditLine *edit, int key) {
  (void)key;
  static const char end[] = "\033[201~";
  size_t room = 4096, n = 0, last = sizeof end - 1;
  char *text = malloc(room);
  while (text && (n < last || memcmp(text + n - last, end, last) != 0)) {
    char byte;
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got < 0 && errno == EINTR && !host_interrupts()) continue;
    if (got <= 0) break;
    if (n + 2 > room) {
      char *more = realloc(text, room *= 2);
      if (!more) free(text);
      text = more;
      if (!text) break;
    }
    text[n++] = byte == '\r' ? '\n' : byte;
  }
  if (!text) return CC_ERROR;
  int whole = n >= last && !memcmp(text + n - last, end, last);
  if (whole) n -= last;
  while (n && text[n - 1] == '\n') n--;
  text[n] = 0;
  int inserted = whole && n && !el_insertstr(edit, text);
  free(text);
  return inserted ? CC_REFRESH : CC_ERROR;
}

/* Tells the terminal whether pastes are to be announced. */
static void announce_pastes(int on) {
  fputs(on ? "\033[?2004h" : "\033[?2004l", stdout);
  fflush(stdout);
}

static void open_editor(void) {
  setlocale(LC_CTYPE, ""); /* widths of what is typed; how numbers are written stays C's */
  editor.edit = el_init("pah", stdin, stdout, stderr);
  editor.history = history_init();
  if (!editor.edit || !editor.history) return;
  HistEvent event;
  history(editor.history, &event, H_SETSIZE, 2000);
  history(editor.history, &event, H_SETUNIQUE, 1);
  el_set(editor.edit, EL_PROMPT, prompt);
  el_set(editor.edit, EL_EDITOR, "emacs");
  el_set(editor.edit, EL_HIST, history, editor.history);
  el_set(editor.edit, EL_GETCFN, read_char);
  el_set(editor.edit, EL_ADDFN, "pah-complete", "complete the word before the cursor", complete);
  el_set(editor.edit, EL_ADDFN, "pah-paste", "insert what is pasted", paste);
  el_set(editor.edit, EL_BIND, "^I", "pah-complete", NULL);
  el_set(editor.edit, EL_BIND, "\\e[200~", "pah-paste", NULL);
  el_set(editor.edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
  el_source(editor.edit, NULL); /* the user's own bindings in ~/.editrc */
}

/* read_line(prompt, completer) -> line; nil at the end of input; false after Ctrl-C. */
static int read_line(lua_State *L) {
  host_at_prompt();
  const char *text = luaL_checkstring(L, 1);
  luaL_checkany(L, 2);
  if (!editor.edit) open_editor();
  if (!editor.edit || !editor.history) return luaL_error(L, "the line editor does not start");
  editor.L = L;
  editor.prompt = text;
  el_resize(editor.edit);
  int count = 0;
  announce_pastes(1);
  const char *line = el_gets(editor.edit, &count);
  announce_pastes(0);
  if (!line || count <= 0) {
    el_reset(editor.edit);
    putchar('\n');
    fflush(stdout);
    return push_line(L, NULL, 0);
  }
  return push_line(L, line, (size_t)count);
}

/* remember(text): an entry of the history, which may have several lines; saved to its file. */
static int remember(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  HistEvent event;
  if (!editor.history) return 0;
  history(editor.history, &event, H_ENTER, text);
  if (editor.file) history(editor.history, &event, H_SAVE, editor.file);
  return 0;
}

/* history(path): lines typed so far are read from the file and new ones saved to it; its folder is made. */
static int history_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  free(editor.file);
  editor.file = strdup(path);
  if (!editor.file) return 0;
  for (char *c = editor.file + 1; *c; c++) {
    if (*c != '/') continue;
    *c = 0;
    mkdir(editor.file, 0700);
    *c = '/';
  }
  if (!editor.edit) open_editor();
  HistEvent event;
  if (editor.history) history(editor.history, &event, H_LOAD, editor.file);
  return 0;
}

/* close_line_input(): gives the terminal back. */
static int close_line_input(lua_State *L) {
  (void)L;
  if (editor.history) history_end(editor.history);
  if (editor.edit) el_end(editor.edit);
  free(editor.file);
  memset(&editor, 0, sizeof editor);
  return 0;
}

#else

static int read_line(lua_State *L) {
  host_at_prompt();
  char *line = NULL;
  size_t room = 0;
  fputs(luaL_checkstring(L, 1), stdout);
  fflush(stdout);
  ssize_t n = getline(&line, &room, stdin);
  if (n < 0) {
    clearerr(stdin);
    putchar('\n');
  }
  push_line(L, n < 0 ? NULL : line, n < 0 ? 0 : (size_t)n);
  free(line);
  return 1;
}

static int history_file(lua_State *L) {
  (void)L;
  return 0;
}

static int remember(lua_State *L) {
  (void)L;
  return 0;
}

static int close_line_input(lua_State *L) {
  (void)L;
  return 0;
}

#endif

void host_add_line_input(lua_State *L) {
  static const luaL_Reg functions[] = {{"read_line", read_line},
                                       {"history", history_file},
                                       {"remember", remember},
                                       {"close_line_input", close_line_input},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
