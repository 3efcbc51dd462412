/* error.c - status codes, the thread-local error line and the interrupt flag. See error.h for how to fail. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char error_line[8192];

volatile sig_atomic_t pah_interrupted;

int pah_fail(int status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(error_line, sizeof error_line, format, args);
  va_end(args);
  return status;
}

struct pah_names pah_names_of(const char *(*name)(int64_t i)) {
  struct pah_names names = {""};
  size_t used = 0;
  for (int64_t i = 0; name(i) && used < sizeof names.text; i++) {
    const char *before = i == 0 ? "" : name(i + 1) ? ", " : " or ";
    used += (size_t)snprintf(names.text + used, sizeof names.text - used, "%s%s", before, name(i));
  }
  return names;
}

const char *pah_error(void) {
  return error_line;
}

const char *pah_status_name(int status) {
  switch (status) {
  case PAH_OK: return "PAH_OK";
  case PAH_EINVAL: return "PAH_EINVAL";
  case PAH_ENOMEM: return "PAH_ENOMEM";
  case PAH_EUNSUPPORTED: return "PAH_EUNSUPPORTED";
  case PAH_EDEVICE: return "PAH_EDEVICE";
  case PAH_EIO: return "PAH_EIO";
  case PAH_EINTERRUPTED: return "PAH_EINTERRUPTED";
  default: return "unknown status";
  }
}

void pah_interrupt(int on) {
  pah_interrupted = on;
}
