/* reference.h - stub, being written. */
#ifndef PAH_REFERENCE_H
#define PAH_REFERENCE_H
#include "pah.h"
#endif
