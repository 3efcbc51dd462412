/* cuda_runtime.h - for sim: all of it is in pah_sim.h. */
#ifndef PAH_SIM_CUDA_RUNTIME_H
#define PAH_SIM_CUDA_RUNTIME_H
#include "pah_sim.h"
#endif
