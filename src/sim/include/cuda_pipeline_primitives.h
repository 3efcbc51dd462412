/* cuda_pipeline_primitives.h - see cuda_pipeline.h. */
#ifndef PAH_SIM_CUDA_PIPELINE_PRIMITIVES_H
#define PAH_SIM_CUDA_PIPELINE_PRIMITIVES_H
#include "cuda_pipeline.h"
#endif
