/* sm_20_intrinsics.h - for sim: all of it is in pah_sim.h. */
#ifndef PAH_SIM_SM_20_INTRINSICS_H
#define PAH_SIM_SM_20_INTRINSICS_H
#include "pah_sim.h"
#endif
