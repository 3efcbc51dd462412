/* nvrtc.c - NVRTC of the test driver: "machine code" is the source with its defines, folders and kernel names, tried
 * out on sim so that what does not compile is an error here as it is there. module.c reads it again. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

struct _nvrtcProgram {
  char *text, *name, *log, *image;
  size_t bytes;
  char *kernels[64];
  int kernel_count;
};

enum { NVRTC_INVALID_INPUT = 3, NVRTC_COMPILATION = 6 };

int driver_load(const char *image, struct pah_module **module);

nvrtcResult nvrtcVersion(int *major, int *minor) {
  ENTER();
  return *major = 1, *minor = 0, 0;
}

const char *nvrtcGetErrorString(nvrtcResult result) {
  return result == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR";
}

static const int arches[] = {75, 80, 86, 89, 90, 100};
static char target[64];

const char *driver_target(void) {
  return target;
}

nvrtcResult nvrtcGetNumSupportedArchs(int *count) {
  ENTER();
  return *count = sizeof arches / sizeof *arches, 0;
}

nvrtcResult nvrtcGetSupportedArchs(int *list) {
  ENTER();
  memcpy(list, arches, sizeof arches);
  return 0;
}

nvrtcResult nvrtcCreateProgram(nvrtcProgram *program, const char *text, const char *name, int headers,
                               const char *const *header_texts, const char *const *header_names) {
  ENTER();
  if (!headers || !header_texts || !header_names) return NVRTC_INVALID_INPUT; /* sim has its own */
  *program = calloc(1, sizeof **program);
  (*program)->text = strdup(text);
  (*program)->name = strdup(name);
  driver_made(OBJECT_PROGRAM, 1);
  return 0;
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram *program) {
  driver_enter(__func__);
  struct _nvrtcProgram *p = *program;
  for (int i = 0; i < p->kernel_count; i++) free(p->kernels[i]);
  free(p->text);
  free(p->name);
  free(p->log);
  free(p->image);
  free(p);
  *program = NULL;
  driver_made(OBJECT_PROGRAM, -1);
  return 0;
}

nvrtcResult nvrtcAddNameExpression(nvrtcProgram program, const char *name) {
  ENTER();
  if (program->kernel_count == 64) return NVRTC_INVALID_INPUT;
  program->kernels[program->kernel_count++] = strdup(name);
  return 0;
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int count, const char *const *options) {
  ENTER();
  FILE *f = open_memstream(&program->image, &program->bytes);
  fprintf(f, "TESTCUBIN\n");
  for (int i = 0; i < count; i++) {
    const char *value = strchr(options[i], '=');
    if (!strncmp(options[i], "--define-macro=", 15)) fprintf(f, "D%s\n", value + 1);
    if (!strncmp(options[i], "--gpu-architecture=", 19)) snprintf(target, sizeof target, "%s", value + 1);
    if (!strncmp(options[i], "--include-path=", 15) && !strstr(value, "cuda")) fprintf(f, "I%s\n", value + 1);
  }
  for (int i = 0; i < program->kernel_count; i++) fprintf(f, "K%s\n", program->kernels[i]);
  fprintf(f, "\n#line 1 \"%s\"\n%s", program->name, program->text);
  fclose(f);
  struct pah_module *module;
  if (driver_load(program->image, &module)) {
    program->log = strdup(pah_error());
    return NVRTC_COMPILATION;
  }
  pah_module_release(module);
  return 0;
}

nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t *bytes) {
  ENTER();
  return *bytes = program->log ? strlen(program->log) + 1 : 1, 0;
}

nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char *log) {
  ENTER();
  strcpy(log, program->log ? program->log : "");
  return 0;
}

nvrtcResult nvrtcGetLoweredName(nvrtcProgram program, const char *name, const char **lowered) {
  ENTER();
  for (int i = 0; i < program->kernel_count; i++)
    if (!strcmp(program->kernels[i], name)) return *lowered = program->kernels[i], 0;
  return NVRTC_INVALID_INPUT;
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t *bytes) {
  ENTER();
  return *bytes = program->bytes, 0;
}

nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char *image) {
  ENTER();
  memcpy(image, program->image, program->bytes);
  return 0;
}

nvrtcResult nvrtcGetPTXSize(nvrtcProgram program, size_t *bytes) {
  return nvrtcGetCUBINSize(program, bytes);
}
nvrtcResult nvrtcGetPTX(nvrtcProgram program, char *image) {
  return nvrtcGetCUBIN(program, image);
}
