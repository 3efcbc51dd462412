/* merge.c - stub, being written. */
#include "error.h"
