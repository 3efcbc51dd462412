/* tensor.h - stub, being written. */
#ifndef PAH_TENSOR_H
#define PAH_TENSOR_H
#include "pah.h"
#endif
