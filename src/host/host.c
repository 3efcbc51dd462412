/* host.c - the program: a LuaJIT state with the module `pah.host` in it, then lua/pah/cli/init.lua.
 * Promises: all behaviour is in Lua, all speed in src/cpu; this file finds the Lua files and hands over what only C can
 * know. Read next: lua/pah/cli/init.lua, interrupt.c, lineedit.c. */
#define _GNU_SOURCE
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "config.h"
#include "interrupt.h"
#include "module/datadir.h"

static const char cdef[] = {
#include "cdef.inc"
    0};

/* The commit that it was built from, "-dirty" behind it where files differed; empty where there was no repository. */
static const char commit[] =
#include "commit.inc"
    ;

#ifdef __clang__
#define COMPILER __VERSION__ /* which begins with the compiler's name */
#else
#define COMPILER "gcc " __VERSION__
#endif

/* ---- The module ----------------------------------------------------------------------------------------- */

/* isatty(0, 1 or 2) -> boolean. */
static int is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* list(folder) -> list of its entries in no order, folders with a slash behind; nil and a message if it cannot be read.
 */
static int list_folder(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  DIR *folder = opendir(path);
  if (!folder) return lua_pushnil(L), lua_pushfstring(L, "%s: %s", path, strerror(errno)), 2;
  lua_newtable(L);
  int n = 0;
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    struct stat about;
    int is_folder = !fstatat(dirfd(folder), entry->d_name, &about, 0) && S_ISDIR(about.st_mode);
    lua_pushfstring(L, is_folder ? "%s/" : "%s", entry->d_name);
    lua_rawseti(L, -2, ++n);
  }
  closedir(folder);
  return 1;
}

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_function(lua_State *L, const char *key, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_setfield(L, -2, key);
}

/* Makes the module `pah.host` and puts the data folder into package.path and package.cpath. */
static void push_module(lua_State *L, int argc, char **argv) {
  const char *exe = pah_exe_path(), *dir = pah_data_dir();
  lua_newtable(L);
  set_string(L, "cdef", cdef);
  set_string(L, "datadir", dir);
  set_string(L, "exe", exe);
  set_string(L, "version", PACKAGE_VERSION);
  set_string(L, "compiler", COMPILER);
  if (*commit) set_string(L, "commit", commit);
  set_function(L, "isatty", is_terminal);
  set_function(L, "list", list_folder);
  host_add_interrupts(L);
  host_add_line_input(L);
  host_add_children(L);
  lua_newtable(L);
  for (int i = 0; i < argc; i++) lua_pushstring(L, argv[i]), lua_rawseti(L, -2, i);
  lua_setfield(L, -2, "argv");
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/lua/?.lua;%s/lua/?/init.lua;%s", dir, dir, lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_getfield(L, -2, "cpath"); /* modules in C of a bundle (scripts/bundle) */
  lua_pushfstring(L, "%s/lua/?.so;%s", dir, lua_tostring(L, -1));
  lua_setfield(L, -4, "cpath");
  lua_pop(L, 1);
  lua_getfield(L, -2, "loaded");
  lua_pushvalue(L, -4);
  lua_setfield(L, -2, "pah.host");
  lua_settop(L, 0);
}

/* In protected mode: require "pah.cli" returns the function that does the rest; its result is the exit code. */
static int run(lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  luaL_openlibs(L);
  push_module(L, argc, argv);
  lua_getglobal(L, "require");
  lua_pushstring(L, "pah.cli");
  lua_call(L, 1, 1);
  lua_call(L, 0, 1);
  return 1;
}

/* glibc gives memory back as soon as 128 KiB at the end of the heap are free, and maps anew what is larger: the working
 * memory of a short call then had to be faulted in page by page every time. A decode of 64 tokens took 42 us, not 20.
 */
static void keep_freed_memory(void) {
#if defined(__GLIBC__)
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

/* A file opened later must not become stdin, stdout or stderr because the parent has closed those: what is printed
 * would go into it. They fail as before, being open the wrong way round. */
static void hold_standard_files(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
      int opened = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest that is free: fd */
      (void)opened;
    }
}

/* Threads that wait spin, and beside one busy program they wait for a thread that has no processor: with libgomp's
 * 300000 turns, 30 ms on a Zen 4, calls got 30 to 85 times slower. 300 turns, 15 to 30 us, still catch the next of a
 * series of short calls. The library reads its environment before main, so the program starts once more; what the user
 * has set stands. clang's library reads it later, and does not spin for less than a millisecond. */
static void bound_spinning(char **argv) {
  if (getenv("OMP_WAIT_POLICY")) return;
#if defined(__clang__)
  (void)argv;
  setenv("KMP_BLOCKTIME", "0", 0);
#else
  if (getenv("GOMP_SPINCOUNT") || setenv("GOMP_SPINCOUNT", "300", 0)) return;
  execv(pah_exe_path(), argv); /* if that fails, it is only slower beside others */
#endif
}

int main(int argc, char **argv) {
  bound_spinning(argv);
  hold_standard_files();
  keep_freed_memory();
  lua_State *L = luaL_newstate();
  if (!L) return fputs("pah: no memory for Lua\n", stderr), 1;
  lua_pushcfunction(L, run);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int status = 1;
  if (lua_pcall(L, 2, 1, 0)) {
    const char *why = lua_tostring(L, -1);
    fprintf(stderr, "pah: %s\n", why ? why : "the start failed, and the error is not a string");
  } else {
    status = (int)lua_tointeger(L, -1);
  }
  host_drop_interrupts();
  lua_close(L); /* a hook set meanwhile would raise where nothing catches it */
  return status;
}
