/* host.h - stub, being written. */
#ifndef PAH_HOST_H
#define PAH_HOST_H
#include "pah.h"
#endif
