/* dtype.h - stub, being written. */
#ifndef PAH_DTYPE_H
#define PAH_DTYPE_H
#include "pah.h"
#endif
