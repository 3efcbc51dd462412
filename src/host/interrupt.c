/* interrupt.c - Ctrl-C as a Lua error: running kernels return early, running Lua code raises at its next instruction.
 * What does neither within PATIENCE ends with the program; at the prompt, where that would lose what was made there, it
 * is said, and a second Ctrl-C ends it. Read next: interrupt.h, lua/pah/cli/init.lua. */
#include "interrupt.h"

#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pah.h"

static lua_State *main_state;
static pthread_t main_thread;
static volatile sig_atomic_t interrupts, heard, at_prompt;

static timer_t patience; /* runs from the first Ctrl-C on */
static int has_patience;
static const long PATIENCE = 350000000; /* nanoseconds */

int host_interrupts(void) {
  return interrupts;
}

void host_at_prompt(void) {
  at_prompt = 1;
}

/* Async-signal-safe; 0: stops it. */
static void start_patience(long nanoseconds) {
  struct itimerspec after = {.it_value = {.tv_nsec = nanoseconds}};
  if (has_patience) timer_settime(patience, 0, &after, NULL);
}

int host_rearm(lua_State *L) {
  int came = interrupts != 0;
  start_patience(0);
  lua_sethook(L, NULL, 0, 0);
  interrupts = 0;
  pah_interrupt(0);
  return came;
}

static void say(const char *line) {
  ssize_t written = write(STDERR_FILENO, line, strlen(line));
  (void)written;
}

static void end_now(void) {
  say("\npah: interrupted\n");
  _exit(130);
}

static void on_patience(int signal) {
  (void)signal;
  if (!interrupts || heard) return;
  if (!at_prompt) end_now();
  say("\npah: this call does not hear Ctrl-C; once more ends the session\n");
}

static void stop(lua_State *L, lua_Debug *ar) {
  (void)ar;
  heard = 1;
  lua_sethook(L, NULL, 0, 0);
  lua_pushliteral(L, "interrupted"); /* no position: it may be anywhere; the traceback tells */
  lua_error(L);
}

/* A call that neither returns nor runs a Lua instruction is a compiled loop that calls nothing, or in a library. */
static void on_sigint(int signal) {
  if (!pthread_equal(pthread_self(), main_thread)) { /* a kernel's thread got it: hooks are the main thread's */
    pthread_kill(main_thread, signal);
    return;
  }
  static struct timespec first;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double since = (double)(now.tv_sec - first.tv_sec) + 1e-9 * (double)(now.tv_nsec - first.tv_nsec);
  if (interrupts && since < 0.1) return; /* the same one again, from a parent such as timeout(1) */
  first = now;
  if (interrupts++) end_now();
  heard = 0;
  pah_interrupt(1);
  lua_sethook(main_state, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  start_patience(PATIENCE);
}

/* catch_interrupts(): from now on Ctrl-C raises "interrupted" in the running call. An ignored SIGINT stays ignored,
 * as nohup and shells' background jobs want it. */
static int catch_interrupts(lua_State *L) {
  (void)L;
  struct sigaction action;
  if (!sigaction(SIGINT, NULL, &action) && action.sa_handler == SIG_IGN) return 0;
  memset(&action, 0, sizeof action);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  if (!has_patience && !timer_create(CLOCK_MONOTONIC, &event, &patience)) {
    has_patience = 1;
    action.sa_handler = on_patience;
    sigaction(SIGALRM, &action, NULL);
  }
  action.sa_handler = on_sigint; /* no SA_RESTART: a read at the prompt must return */
  sigaction(SIGINT, &action, NULL);
  return 0;
}

/* rearm() -> boolean: whether Ctrl-C came since the last time; forgets it, so that the next one stops the next call. */
static int rearm(lua_State *L) {
  lua_pushboolean(L, host_rearm(L));
  return 1;
}

/* interrupted() -> boolean: whether Ctrl-C came since then; what was interrupted may have raised an error of its own.
 */
static int interrupted(lua_State *L) {
  lua_pushboolean(L, host_interrupts() != 0);
  return 1;
}

void host_add_interrupts(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"catch_interrupts", catch_interrupts}, {"rearm", rearm}, {"interrupted", interrupted}, {NULL, NULL}};
  main_state = L;
  main_thread = pthread_self();
  luaL_register(L, NULL, functions);
}

void host_drop_interrupts(void) {
  start_patience(0);
  struct sigaction action;
  if (!sigaction(SIGINT, NULL, &action) && action.sa_handler == on_sigint) signal(SIGINT, SIG_DFL);
}
