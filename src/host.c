/* host.c - the program: a LuaJIT state with `pah` loaded before any script, then lua/pah/cli.lua.
 * Promises: all behaviour is in Lua, all speed in src/cpu; this file only finds the Lua files and starts them. */
#define _GNU_SOURCE
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "host.h"

static const char cdef[] = {
#include "cdef.inc"
    0};

/* The folder that holds lua/: $PAH_DATADIR, else share/pah beside or above the program, else where it was installed. */
static void find_data(char *dir, size_t bytes) {
  const char *asked = getenv("PAH_DATADIR");
  if (asked && *asked) {
    snprintf(dir, bytes, "%s", asked);
    return;
  }
  char exe[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  if (n > 0) {
    exe[n] = 0;
    *strrchr(exe, '/') = 0;
    for (int above = 0; above < 2; above++) {
      char probe[2 * PATH_MAX];
      snprintf(dir, bytes, "%s/%sshare/pah", exe, above ? "../" : "");
      snprintf(probe, sizeof probe, "%s/lua/pah/init.lua", dir);
      if (!access(probe, R_OK)) return;
    }
  }
  snprintf(dir, bytes, "%s", PAH_DATADIR);
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (!L) return fputs("pah: no memory for Lua\n", stderr), 1;
  luaL_openlibs(L);
  char dir[PATH_MAX + 32];
  find_data(dir, sizeof dir);
  lua_newtable(L);
  lua_pushstring(L, cdef), lua_setfield(L, -2, "cdef");
  lua_pushstring(L, dir), lua_setfield(L, -2, "datadir");
  lua_pushstring(L, PACKAGE_VERSION), lua_setfield(L, -2, "version");
  lua_newtable(L);
  for (int i = 0; i < argc; i++) lua_pushstring(L, argv[i]), lua_rawseti(L, -2, i);
  lua_setfield(L, -2, "argv");
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "loaded");
  lua_pushvalue(L, -3), lua_setfield(L, -2, "pah.host");
  lua_getfield(L, -2, "path");
  lua_pushfstring(L, "%s/lua/?.lua;%s/lua/?/init.lua;%s", dir, dir, lua_tostring(L, -1));
  lua_setfield(L, -4, "path");
  lua_settop(L, 0);
  lua_getglobal(L, "require");
  lua_pushstring(L, "pah.cli");
  if (lua_pcall(L, 1, 1, 0)) {
    fprintf(stderr, "pah: %s\n", lua_tostring(L, -1));
    return 1;
  }
  lua_pcall(L, 0, 0, 0);
  return 0;
}
