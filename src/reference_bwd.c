/* reference_bwd.c - stub, being written. */
#include "error.h"
