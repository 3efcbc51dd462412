/* memory.c - the record of calls, the device, contexts, streams, events and memory of the test driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

enum { MOST_NAMES = 64, MOST_RANGES = 4096 };

static int64_t calls, fail_at, live[OBJECT_KINDS];
static int fail_code, hanging, sticky, dry, major = 8, minor, bad_attribute, attribute_code;
static char failed[64], fail_name[64];
static struct {
  const char *name;
  int64_t count;
} counts[MOST_NAMES];
static struct {
  char *data;
  size_t bytes;
} ranges[MOST_RANGES];

int64_t driver_calls(void) {
  return calls;
}
const char *driver_failed(void) {
  return failed;
}
int64_t driver_live(int kind) {
  return live[kind];
}
void driver_made(int kind, int by) {
  live[kind] += by;
}
void driver_hang(int on) {
  hanging = on;
}
void driver_break(int code) {
  sticky = code;
}
int driver_sticky(void) {
  return sticky;
}
int driver_hangs(void) {
  return hanging;
}
void driver_set_dry(int on) {
  dry = on;
}
int driver_is_dry(void) {
  return dry;
}
void driver_set_capability(int first, int second) {
  major = first;
  minor = second;
}
void driver_fail_attribute(int which, int code) {
  bad_attribute = which;
  attribute_code = code;
}

void driver_fail(int64_t nth, int code) {
  fail_at = nth ? calls + nth : 0;
  fail_code = code;
  failed[0] = fail_name[0] = 0;
}

void driver_fail_named(const char *name, int code) {
  driver_fail(0, code);
  snprintf(fail_name, sizeof fail_name, "%s", name);
}

int64_t driver_count(const char *name) {
  for (int i = 0; i < MOST_NAMES && counts[i].name; i++)
    if (!strcmp(counts[i].name, name)) return counts[i].count;
  return 0;
}

/* A context that has ended says so at every call. */
static int stays(const char *name) {
  static const char *const without[] = {"cuInit", "cuDriver", "cuGet", "cuDevice", "cuCtxSetCurrent", "nvrtc"};
  for (size_t i = 0; i < sizeof without / sizeof *without; i++)
    if (!strncmp(name, without[i], strlen(without[i]))) return 0;
  return sticky;
}

int driver_enter(const char *name) {
  calls++;
  for (int i = 0; i < MOST_NAMES; i++) {
    if (!counts[i].name) counts[i].name = name;
    if (strcmp(counts[i].name, name) != 0) continue;
    counts[i].count++;
    break;
  }
  if (calls != fail_at && strcmp(name, fail_name) != 0) {
    int refused = driver_refused_by_recording(name);
    return refused ? refused : stays(name);
  }
  fail_name[0] = 0;
  snprintf(failed, sizeof failed, "%s", name);
  if (fail_code >= 700 && strncmp(name, "nvrtc", 5) != 0) sticky = fail_code;
  return fail_code;
}

struct pah_device *driver_sim(void) {
  static struct pah_device *sim;
  if (!sim && pah_device_open("sim:sm_80", &sim)) sim = NULL;
  return sim;
}

/* ---- The library and the device ---- */

CUresult cuInit(unsigned flags) {
  ENTER();
  return flags ? 1 : 0;
}

CUresult cuDriverGetVersion(int *version) {
  ENTER();
  return *version = 13000, 0;
}

CUresult cuGetErrorName(CUresult error, const char **text) {
  *text = error == 1     ? "CUDA_ERROR_INVALID_VALUE"
          : error == 2   ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : error == 719 ? "CUDA_ERROR_LAUNCH_FAILED"
                         : NULL;
  return *text ? 0 : 1;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
  *text = error == 2 ? "out of memory" : error == 700 ? "an illegal memory access was encountered" : "an error";
  return 0;
}

CUresult cuDeviceGetCount(int *count) {
  ENTER();
  return *count = 1, 0;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  ENTER();
  return *device = 7 + ordinal, 0;
}

CUresult cuDeviceGetName(char *name, int bytes, CUdevice device) {
  ENTER();
  snprintf(name, (size_t)bytes, "Test driver %d", device - 7);
  return 0;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  ENTER();
  return *bytes = (size_t)1 << 34, device == 7 ? 0 : 101;
}

CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  ENTER();
  const int values[][2] = {{CU_MULTIPROCESSOR_COUNT, 4},
                           {CU_COMPUTE_CAPABILITY_MAJOR, major},
                           {CU_COMPUTE_CAPABILITY_MINOR, minor},
                           {CU_L2_CACHE_SIZE, 1 << 25},
                           {CU_PCI_BUS_ID, 0x17},
                           {CU_PCI_DEVICE_ID, 1},
                           {CU_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 163 * 1024},
                           {CU_MEMORY_POOLS_SUPPORTED, 1}};
  if (attribute_code && attribute == bad_attribute) return attribute_code;
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    if (values[i][0] == attribute) return *value = values[i][1], device == 7 ? 0 : 101;
  return 1;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  ENTER();
  driver_made(OBJECT_CONTEXT, 1);
  *context = (CUcontext)(uintptr_t)0x7000;
  return device == 7 ? 0 : 101;
}

/* A context that has ended takes with it what it holds; any other must have been emptied. */
static void drop_all(void) {
  for (int i = 0; i < MOST_RANGES; i++) {
    if (ranges[i].data) pah_device_free(driver_sim(), ranges[i].data, (int64_t)ranges[i].bytes);
    ranges[i].data = NULL;
  }
  driver_drop_modules();
  live[OBJECT_MEMORY] = live[OBJECT_MODULE] = live[OBJECT_STREAM] = live[OBJECT_EVENT] = 0;
  sticky = 0;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  int code = driver_enter(__func__); /* what the caller cannot try again is done all the same */
  driver_made(OBJECT_CONTEXT, -1);
  if (sticky && !live[OBJECT_CONTEXT]) drop_all();
  return code ? code : device == 7 ? 0 : 101;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  ENTER();
  return context == (CUcontext)(uintptr_t)0x7000 ? 0 : 201;
}

/* ---- Streams and events ---- */

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  ENTER();
  driver_made(OBJECT_STREAM, 1);
  *stream = (CUstream)(uintptr_t)(0x8000 + flags);
  return 0;
}

CUresult cuStreamDestroy_v2(CUstream stream) {
  int code = driver_enter(__func__);
  driver_made(OBJECT_STREAM, -1);
  return code ? code : stream ? 0 : 400;
}

CUresult cuStreamSynchronize(CUstream stream) {
  ENTER();
  return sticky ? sticky : stream ? 0 : 400;
}

struct CUevent_st {
  int recorded, hangs;
};

CUresult cuEventCreate(CUevent *event, unsigned flags) {
  ENTER();
  (void)flags;
  *event = calloc(1, sizeof **event);
  driver_made(OBJECT_EVENT, 1);
  return *event ? 0 : 2;
}

CUresult cuEventDestroy_v2(CUevent event) {
  int code = driver_enter(__func__);
  free(event);
  driver_made(OBJECT_EVENT, -1);
  return code;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
  ENTER();
  event->recorded = stream != NULL;
  event->hangs = hanging;
  return sticky;
}

CUresult cuEventQuery(CUevent event) {
  ENTER();
  return sticky ? sticky : event->hangs ? CUDA_ERROR_NOT_READY : 0;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to) {
  ENTER();
  *milliseconds = 1;
  return from->recorded && to->recorded ? 0 : 400;
}

/* ---- Memory ---- */

CUresult cuMemAllocAsync(CUdeviceptr *data, size_t bytes, CUstream stream) {
  ENTER();
  void *at;
  int free_range = 0;
  while (free_range < MOST_RANGES && ranges[free_range].data) free_range++;
  if (!stream || free_range == MOST_RANGES || !driver_sim() || pah_device_alloc(driver_sim(), (int64_t)bytes, &at))
    return 2;
  ranges[free_range].data = at;
  ranges[free_range].bytes = bytes;
  driver_made(OBJECT_MEMORY, 1);
  *data = (CUdeviceptr)(uintptr_t)at;
  return 0;
}

CUresult cuMemFreeAsync(CUdeviceptr data, CUstream stream) {
  int code = driver_enter(__func__);
  for (int i = 0; i < MOST_RANGES; i++) {
    if ((CUdeviceptr)(uintptr_t)ranges[i].data != data || !data || !stream) continue;
    pah_device_free(driver_sim(), ranges[i].data, (int64_t)ranges[i].bytes);
    ranges[i].data = NULL;
    driver_made(OBJECT_MEMORY, -1);
    return code;
  }
  return 1;
}

/* Memory for other processes: their handle is its address. */
CUresult cuMemAlloc_v2(CUdeviceptr *data, size_t bytes) {
  ENTER();
  return cuMemAllocAsync(data, bytes, (CUstream)(uintptr_t)1);
}

CUresult cuMemFree_v2(CUdeviceptr data) {
  return cuMemFreeAsync(data, (CUstream)(uintptr_t)1);
}

CUresult cuIpcGetMemHandle(struct cuda_ipc_handle *handle, CUdeviceptr data) {
  ENTER();
  memset(handle, 0, sizeof *handle);
  memcpy(handle->bytes, &data, sizeof data);
  return 0;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) {
  ENTER();
  *pool = (CUmemoryPool)(uintptr_t)0x9000;
  return device == 7 ? 0 : 101;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, int attribute, void *value) {
  ENTER();
  return pool && attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD && value ? 0 : 1;
}

static int inside(CUdeviceptr data, size_t bytes) {
  const char *at = (const char *)(uintptr_t)data;
  for (int i = 0; i < MOST_RANGES; i++)
    if (ranges[i].data && at >= ranges[i].data && at + bytes <= ranges[i].data + ranges[i].bytes) return 1;
  return 0;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  ENTER();
  if (sticky) return sticky;
  if (!stream || !inside(to, bytes)) return 1;
  return driver_sim()->ops->copy_in(driver_sim(), (void *)(uintptr_t)to, from, (int64_t)bytes) ? 1 : 0;
}

int driver_is_signature(CUdeviceptr data, size_t bytes);

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  ENTER();
  if (sticky) return sticky;
  if (!stream || !(inside(from, bytes) || driver_is_signature(from, bytes))) return 1;
  memcpy(to, (const void *)(uintptr_t)from, bytes);
  return 0;
}
