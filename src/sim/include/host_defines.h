/* host_defines.h - for sim: all of it is in pah_sim.h. */
#ifndef PAH_SIM_HOST_DEFINES_H
#define PAH_SIM_HOST_DEFINES_H
#include "pah_sim.h"
#endif
