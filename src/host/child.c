/* child.c - child processes that take turns with the program: lines go there and come back over a socket.
 * Promises: a child is never left behind: one that is let go, or does not end in time, is killed; when the parent dies,
 * the child's next wait for a line ends. Part of the Lua module `pah.host`. Read next: lua/pah/compare/child.lua. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "interrupt.h"

enum { CHILD_FD = 3 }; /* where a child finds its end */
static const char type_name[] = "pah.child";

/* One end of the socket. */
struct end {
  int fd;
  pid_t pid;  /* of the child; 0: this is the child's own end, or the child has ended */
  char *text; /* received and not yet given away */
  size_t used, space;
};

static struct end *new_end(lua_State *L) {
  struct end *e = lua_newuserdata(L, sizeof *e);
  memset(e, 0, sizeof *e);
  e->fd = -1;
  luaL_getmetatable(L, type_name);
  lua_setmetatable(L, -2);
  return e;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int failed(lua_State *L, const char *why) {
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* ---- Starting and ending -------------------------------------------------------------------------------- */

/* Starts words[0] with standard input and output at /dev/null and the socket as file 3; returns errno or 0. */
static int start(struct end *e, char **words) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) return errno;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, fds[1], CHILD_FD);
  pid_t pid;
  int error = posix_spawnp(&pid, words[0], &actions, NULL, words, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(fds[1]);
  if (error) return close(fds[0]), error;
  e->fd = fds[0];
  e->pid = pid;
  return 0;
}

/* spawn(words) -> child; nil and a message. */
static int spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int n = (int)lua_objlen(L, 1);
  luaL_argcheck(L, n > 0, 1, "is empty");
  char **words = lua_newuserdata(L, ((size_t)n + 1) * sizeof *words);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    words[i] = (char *)luaL_checkstring(L, -1); /* the list keeps it alive */
    lua_pop(L, 1);
  }
  words[n] = NULL;
  int error = start(new_end(L), words);
  return error ? failed(L, strerror(error)) : 1;
}

/* parent() -> the child's end of the socket, in a program that spawn has started. */
static int parent(lua_State *L) {
  struct end *e = new_end(L);
  fcntl(CHILD_FD, F_SETFD, FD_CLOEXEC);
  e->fd = CHILD_FD;
  return 1;
}

static void let_go(struct end *e) {
  if (e->fd >= 0) close(e->fd);
  e->fd = -1;
  free(e->text);
  e->text = NULL;
  e->used = e->space = 0;
}

/* child:finish(seconds) -> its exit code; nil and how it was ended if it was not by itself, within that time, or why
 * that cannot be known: another has waited for it. */
static int finish(lua_State *L) {
  struct end *e = luaL_checkudata(L, 1, type_name);
  double until = now() + luaL_optnumber(L, 2, 5);
  let_go(e);
  if (!e->pid) return failed(L, "has ended");
  int status = 0, killed = 0;
  pid_t ended;
  while (!(ended = waitpid(e->pid, &status, killed ? 0 : WNOHANG)) || (ended < 0 && errno == EINTR)) {
    if (!ended && now() > until) killed = 1, kill(e->pid, SIGKILL);
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  e->pid = 0;
  if (ended < 0) return failed(L, strerror(errno));
  if (!WIFEXITED(status)) {
    lua_pushnil(L);
    lua_pushfstring(L, "signal %d", WTERMSIG(status));
    return 2;
  }
  lua_pushinteger(L, WEXITSTATUS(status));
  return 1;
}

static int collect(lua_State *L) {
  struct end *e = luaL_checkudata(L, 1, type_name);
  let_go(e);
  if (e->pid) kill(e->pid, SIGKILL), waitpid(e->pid, NULL, 0);
  e->pid = 0;
  return 0;
}

/* ---- Lines ------------------------------------------------------------------------------------------------- */

/* child:send(line) -> true; nil and a message. */
static int send_line(lua_State *L) {
  struct end *e = luaL_checkudata(L, 1, type_name);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  lua_pushliteral(L, "\n");
  lua_concat(L, 2);
  size_t size;
  const char *text = lua_tolstring(L, 2, &size);
  while (size) {
    ssize_t n = send(e->fd, text, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR && !host_interrupts()) continue;
    if (n < 0) return failed(L, strerror(errno));
    text += n, size -= (size_t)n;
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Appends what has arrived; NULL, or why nothing has come by `until` (0: no limit). */
static const char *more(struct end *e, double until) {
  struct pollfd wait = {.fd = e->fd, .events = POLLIN};
  double left = until - now();
  if (until != 0 && left <= 0) return "no answer in time";
  int ready = poll(&wait, 1, until != 0 ? 1 + (int)(1000 * (left < 1e6 ? left : 1e6)) : -1);
  if (ready < 0) return errno != EINTR ? strerror(errno) : host_interrupts() ? "interrupted" : NULL;
  if (!ready) return NULL;
  if (e->used + 4096 > e->space) {
    char *grown = realloc(e->text, 2 * e->space + 8192);
    if (!grown) return "no memory";
    e->text = grown;
    e->space = 2 * e->space + 8192;
  }
  ssize_t n = recv(e->fd, e->text + e->used, e->space - e->used, 0);
  if (n > 0) e->used += (size_t)n;
  return n > 0 ? NULL : n == 0 ? "closed" : errno == EINTR ? NULL : strerror(errno);
}

/* child:receive([seconds]) -> the next line; nil and why there is none: "closed" when the other side has ended. */
static int receive(lua_State *L) {
  struct end *e = luaL_checkudata(L, 1, type_name);
  double until = lua_isnoneornil(L, 2) ? 0 : now() + luaL_checknumber(L, 2);
  if (e->fd < 0) return failed(L, "closed");
  for (size_t seen = 0;;) {
    char *end = e->used > seen ? memchr(e->text + seen, '\n', e->used - seen) : NULL;
    if (end) {
      size_t size = (size_t)(end - e->text);
      lua_pushlstring(L, e->text, size);
      e->used -= size + 1;
      memmove(e->text, end + 1, e->used);
      return 1;
    }
    seen = e->used;
    const char *why = more(e, until);
    if (why) return failed(L, why);
  }
}

void host_add_children(lua_State *L) {
  static const luaL_Reg methods[] = {{"send", send_line}, {"receive", receive}, {"finish", finish}, {NULL, NULL}};
  luaL_newmetatable(L, type_name);
  lua_newtable(L);
  luaL_register(L, NULL, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushcfunction(L, spawn);
  lua_setfield(L, -2, "spawn");
  lua_pushcfunction(L, parent);
  lua_setfield(L, -2, "parent");
}
