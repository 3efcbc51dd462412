/* interrupt.h - the interrupt that Ctrl-C asks for, as the files of the program see it. See interrupt.c. */
#ifndef PAH_INTERRUPT_H
#define PAH_INTERRUPT_H

#include <lua.h>

/* Ctrl-C presses since the program was last ready for one (host.rearm). Written by the signal handler. */
int host_interrupts(void);

/* From now on somebody sits at the prompt, who must not lose a session to a call that does not hear Ctrl-C. */
void host_at_prompt(void);

/* Forgets them, so that the next one stops the next call; returns whether there were any. */
int host_rearm(lua_State *L);

/* Adds catch_interrupts, rearm and interrupted to the table on top of the stack of the main state. */
void host_add_interrupts(lua_State *L);

/* Ctrl-C ends the program again: due before the Lua state is closed. */
void host_drop_interrupts(void);

#endif
