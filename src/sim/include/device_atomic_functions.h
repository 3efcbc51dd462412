/* device_atomic_functions.h - for sim: all of it is in pah_sim.h. */
#ifndef PAH_SIM_DEVICE_ATOMIC_FUNCTIONS_H
#define PAH_SIM_DEVICE_ATOMIC_FUNCTIONS_H
#include "pah_sim.h"
#endif
