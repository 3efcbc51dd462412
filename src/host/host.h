/* host.h - what the parts of the program share: the interrupt that Ctrl-C asks for, and the editor's Lua functions.
 * Promises: nothing here is for scripts; they see the Lua module `pah.host` that host.c fills. Read next: host.c. */
#ifndef PAH_HOST_H
#define PAH_HOST_H

#include <lua.h>

#include "pah.h"

/* Ctrl-C presses since the program was last ready for one (host.rearm). Written by the signal handler. */
int host_interrupts(void);

/* Forgets them, so that the next one stops the next call; returns whether there were any. */
int host_rearm(lua_State *L);

/* Adds read_line and history to the table on top of the stack (src/host/lineedit.c). */
void host_add_line_input(lua_State *L);

/* Adds spawn and parent to it (src/host/child.c). */
void host_add_children(lua_State *L);

#endif
