/* reference.c - stub, being written. */
#include "error.h"
