/* builtin_types.h - for sim: all of it is in pah_sim.h. */
#ifndef PAH_SIM_BUILTIN_TYPES_H
#define PAH_SIM_BUILTIN_TYPES_H
#include "pah_sim.h"
#endif
