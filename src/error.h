/* error.h - how a function of pah fails: `return pah_fail(PAH_EINVAL, "q: dtype is i32, must be f32, f16 or bf16")`.
 * One line, no full stop: which field, what it is, what it must be. Never overwrite a lower function's line. */
#ifndef PAH_ERROR_H
#define PAH_ERROR_H

#include <signal.h>

#include "pah.h"

/* Leaves the formatted line in thread-local storage and returns `status`, so that a caller can return the call. */
int pah_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "a, b or c": the names of a list that ends with NULL, for the part of an error line that says what must be. */
struct pah_names {
  char text[160];
};
struct pah_names pah_names_of(const char *(*name)(int64_t i));

/* Set by pah_interrupt; kernels look at it between tasks and return PAH_EINTERRUPTED. */
extern volatile sig_atomic_t pah_interrupted;

#endif
