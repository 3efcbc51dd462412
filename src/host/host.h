/* host.h - what the other files of this folder add to the Lua module `pah.host` that host.c fills. Nothing here is for
 * scripts. Read next: host.c. */
#ifndef PAH_HOST_H
#define PAH_HOST_H

#include <lua.h>

/* Adds read_line and history to the table on top of the stack (src/host/lineedit.c). */
void host_add_line_input(lua_State *L);

/* Adds spawn and parent to it (src/host/child.c). */
void host_add_children(lua_State *L);

#endif
