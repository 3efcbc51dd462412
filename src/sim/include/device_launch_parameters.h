/* device_launch_parameters.h - for sim: all of it is in pah_sim.h. */
#ifndef PAH_SIM_DEVICE_LAUNCH_PARAMETERS_H
#define PAH_SIM_DEVICE_LAUNCH_PARAMETERS_H
#include "pah_sim.h"
#endif
