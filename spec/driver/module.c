/* module.c - modules and launches of the test driver: an image is compiled by sim again (from its cache), a launch is
 * one of sim with every check on, and a finding is the illegal access that a GPU would report with a later call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

enum { MOST_KERNELS = 64, MOST_OPTIONS = 64 };

struct CUfunc_st {
  struct CUmod_st *module;
  char name[200];
  int signature[1 + PAH_MAX_PARAMETERS], most_dynamic;
};

struct CUmod_st {
  struct pah_module *module;
  struct CUfunc_st functions[MOST_KERNELS];
  int function_count;
  struct CUmod_st *next;
};

static struct CUmod_st *modules;
static int tensor_maps = 1;

void driver_set_tensor_maps(int on) {
  tensor_maps = on;
}

/* Lines of an option letter and its value, an empty line, the source. */
static int parse(char *copy, struct CUmod_st *m, struct pah_module **module) {
  static const char *defines[MOST_OPTIONS], *include[MOST_OPTIONS], *kernels[MOST_OPTIONS];
  struct pah_module_spec spec = {.defines = defines, .include = include, .kernels = kernels};
  char *line = copy;
  for (; *line != '\n' && *line; line = strchr(line, 0) + 1) {
    char *end = strchr(line, '\n');
    if (!end) return -1;
    *end = 0;
    if (*line == 'D') defines[spec.define_count++] = line + 1;
    if (*line == 'I') include[spec.include_count++] = line + 1;
    if (*line == 'K') kernels[spec.kernel_count++] = line + 1;
  }
  spec.text = line + 1;
  for (int i = 0; m && i < spec.kernel_count; i++) {
    snprintf(m->functions[i].name, sizeof m->functions[i].name, "%s", kernels[i]);
    m->functions[i].module = m;
    m->function_count++;
  }
  return driver_sim() ? pah_module_compile(driver_sim(), &spec, module) : -1;
}

static int load(const char *image, struct CUmod_st *m, struct pah_module **module) {
  char *copy = strdup(image);
  int status = strncmp(copy, "TESTCUBIN\n", 10) ? -1 : parse(copy, m, module);
  free(copy);
  return status;
}

/* What has been loaded before, for a dry driver, which loads the same images thousands of times. */
static int load_again(const char *image, struct CUmod_st *m, struct pah_module **module) {
  enum { MOST_IMAGES = 256 };
  static struct {
    char *image;
    struct pah_module *module;
    struct CUmod_st like;
  } known[MOST_IMAGES];
  int i = 0;
  if (!driver_is_dry()) return load(image, m, module);
  while (i < MOST_IMAGES && known[i].image && strcmp(known[i].image, image) != 0) i++;
  if (i == MOST_IMAGES) return -1;
  if (!known[i].image) {
    int status = load(image, &known[i].like, &known[i].module);
    if (status) return status;
    known[i].image = strdup(image);
  }
  pah_module_retain(known[i].module);
  *module = known[i].module;
  for (int f = 0; m && f < known[i].like.function_count; f++) {
    m->functions[f] = known[i].like.functions[f];
    m->functions[f].module = m;
    m->function_count++;
  }
  return 0;
}

int driver_load(const char *image, struct pah_module **module) {
  return load_again(image, NULL, module);
}

void driver_drop_modules(void) {
  while (modules) {
    struct CUmod_st *next = modules->next;
    pah_module_release(modules->module);
    free(modules);
    modules = next;
  }
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, int *options, void **values) {
  ENTER();
  if (count != 2 || options[0] != CU_JIT_ERROR_LOG_BUFFER || !values[0]) return 1;
  struct CUmod_st *m = calloc(1, sizeof *m);
  if (!m || load_again(image, m, &m->module)) {
    strcpy(values[0], "the image is none of the test driver's");
    free(m);
    return 200;
  }
  m->next = modules;
  *module = modules = m;
  driver_made(OBJECT_MODULE, 1);
  return 0;
}

CUresult cuModuleUnload(CUmodule module) {
  int code = driver_enter(__func__);
  struct CUmod_st **at = &modules;
  while (*at != module) at = &(*at)->next;
  *at = module->next;
  pah_module_release(module->module);
  free(module);
  driver_made(OBJECT_MODULE, -1);
  return code;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  ENTER();
  for (int i = 0; i < module->function_count; i++)
    if (!strcmp(module->functions[i].name, name)) return *function = &module->functions[i], 0;
  return 500;
}

int driver_is_signature(CUdeviceptr data, size_t bytes) {
  for (struct CUmod_st *m = modules; m; m = m->next)
    for (int i = 0; i < m->function_count; i++)
      if (data == (CUdeviceptr)(uintptr_t)m->functions[i].signature && bytes <= sizeof m->functions[i].signature)
        return 1;
  return 0;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *data, size_t *bytes, CUmodule module, const char *name) {
  ENTER();
  struct pah_signature s;
  int i;
  if (sscanf(name, "pah_takes_%d", &i) != 1 || i >= module->function_count) return 500;
  struct CUfunc_st *f = &module->functions[i];
  if (pah_module_signature(module->module, f->name, &s)) return 500;
  f->signature[0] = s.count;
  for (int p = 0; p < s.count; p++) f->signature[1 + p] = s.kind[p] << 24 | s.size[p];
  *data = (CUdeviceptr)(uintptr_t)f->signature;
  *bytes = sizeof(int) * (size_t)(1 + s.count);
  return 0;
}

CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  ENTER();
  struct pah_resources r;
  if (pah_module_resources(function->module->module, function->name, &r)) return 500;
  *value = attribute == CU_FUNC_MAX_THREADS_PER_BLOCK ? 1024
           : attribute == CU_FUNC_NUM_REGS            ? 40
           : attribute == CU_FUNC_SHARED_SIZE_BYTES   ? r.shared_bytes
                                                      : 0;
  return 0;
}

CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  ENTER();
  if (attribute != CU_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES) return 1;
  function->most_dynamic = value;
  return 0;
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void **args,
                        void **extra) {
  ENTER();
  if (driver_sticky()) return driver_sticky();
  if (!stream || extra || (shared > 48 * 1024 && (int)shared > function->most_dynamic)) return 1;
  struct pah_signature takes;
  const unsigned shape[7] = {grid_x, grid_y, grid_z, block_x, block_y, block_z, shared};
  if (pah_module_signature(function->module->module, function->name, &takes)) return 1;
  if (driver_record(function, shape, &takes, args)) return 0;
  if (driver_hangs() || driver_is_dry()) return 0;
  struct pah_launch l = {.grid = {grid_x, grid_y, grid_z},
                         .block = {block_x, block_y, block_z},
                         .shared = shared,
                         .args = (const void *const *)args,
                         .schedule = -1,
                         .counters = 0};
  if (pah_module_launch(function->module->module, function->name, &l, NULL)) {
    fprintf(stderr, "test driver: %s\n", pah_error());
    driver_break(700);
  }
  return 0;
}

CUresult cuFuncGetParamInfo(CUfunction function, size_t i, size_t *offset, size_t *bytes) {
  ENTER();
  struct pah_signature s;
  if (pah_module_signature(function->module->module, function->name, &s)) return 500;
  if (i >= (size_t)s.count) return 1;
  *offset = 0;
  *bytes = (size_t)s.size[i];
  return 0;
}

/* The kernels of the specs use neither clusters nor barriers of the grid, so these mean nothing here. */
CUresult cuLaunchKernelEx(const struct cuda_launch *l, CUfunction function, void **args, void **extra) {
  if (l->attribute_count < 1 || l->attribute_count > 2) return 1;
  for (unsigned i = 0; i < l->attribute_count; i++) {
    const struct cuda_launch_attribute *a = &l->attributes[i];
    if (!(a->id == CU_CLUSTER_DIMENSION && a->value.cluster[0] > 1) &&
        !(a->id == CU_COOPERATIVE && a->value.cooperative == 1))
      return 1;
  }
  return cuLaunchKernel(function, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2], l->shared,
                        l->stream, args, extra);
}

CUresult cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *data, const uint64_t *sizes,
                                const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave,
                                int swizzle, int l2, int fill) {
  static const int dtypes[] = {PAH_U8, 0, 0, PAH_I32, 0, PAH_I64, PAH_F16, PAH_F32, PAH_F64, PAH_BF16};
  ENTER();
  if (!tensor_maps || type < 0 || type > 9 || !dtypes[type] || interleave || l2 || fill || (uintptr_t)map % 64)
    return 801;
  struct pah_tensor t = {.data = data, .device = driver_sim(), .dtype = dtypes[type], .ndim = (int)rank};
  int64_t boxes[8];
  for (uint32_t i = 0; i < rank; i++) {
    uint32_t to = rank - 1 - i;
    if (steps[i] != 1) return 1;
    t.shape[to] = (int64_t)sizes[i];
    t.stride[to] = i ? (int64_t)strides[i - 1] / pah_dtype_size(t.dtype) : 1;
    boxes[to] = box[i];
  }
  return pah_tensor_map(&t, boxes, swizzle, map) ? 1 : 0;
}
