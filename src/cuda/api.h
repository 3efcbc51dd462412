/* api.h - the functions of libcuda and of NVRTC that pah calls, one list each: X(type, name, arguments, needed).
 * Both libraries are opened at run time and never linked, so no header of the CUDA Toolkit is needed to build; types
 * and numbers are those of the CUDA driver API and of NVRTC. Read next: api.c, device.c, nvrtc.c. */
#ifndef PAH_CUDA_API_H
#define PAH_CUDA_API_H

#include <stddef.h>
#include <stdint.h>

typedef int CUresult, CUdevice, nvrtcResult;
typedef uint64_t CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUmemPoolHandle_st *CUmemoryPool;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct _nvrtcProgram *nvrtcProgram;
struct cuda_launch_attribute { /* CUlaunchAttribute */
  int id;
  char pad[4];
  union {
    char bytes[64];
    unsigned cluster[3];
    int cooperative;
  } value;
};
struct cuda_launch { /* CUlaunchConfig */
  unsigned grid[3], block[3], shared;
  CUstream stream;
  struct cuda_launch_attribute *attributes;
  unsigned attribute_count;
};
struct cuda_ipc_handle { /* CUipcMemHandle */
  unsigned char bytes[64];
};

/* The names that libcuda.so.1 exports; a suffix _v2 is what cuda.h maps the plain name to. Optional: newer than 11.2.
 */
#define PAH_CUDA_FUNCTIONS(X)                                                                                          \
  X(CUresult, cuInit, (unsigned flags), 1)                                                                             \
  X(CUresult, cuDriverGetVersion, (int *version), 1)                                                                   \
  X(CUresult, cuGetErrorName, (CUresult error, const char **text), 1)                                                  \
  X(CUresult, cuGetErrorString, (CUresult error, const char **text), 1)                                                \
  X(CUresult, cuDeviceGetCount, (int *count), 1)                                                                       \
  X(CUresult, cuDeviceGet, (CUdevice * device, int ordinal), 1)                                                        \
  X(CUresult, cuDeviceGetName, (char *name, int bytes, CUdevice device), 1)                                            \
  X(CUresult, cuDeviceTotalMem_v2, (size_t * bytes, CUdevice device), 1)                                               \
  X(CUresult, cuDeviceGetAttribute, (int *value, int attribute, CUdevice device), 1)                                   \
  X(CUresult, cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device), 1)                                     \
  X(CUresult, cuDevicePrimaryCtxRelease_v2, (CUdevice device), 1)                                                      \
  X(CUresult, cuCtxSetCurrent, (CUcontext context), 1)                                                                 \
  X(CUresult, cuStreamCreate, (CUstream * stream, unsigned flags), 1)                                                  \
  X(CUresult, cuStreamDestroy_v2, (CUstream stream), 1)                                                                \
  X(CUresult, cuStreamSynchronize, (CUstream stream), 1)                                                               \
  X(CUresult, cuEventCreate, (CUevent * event, unsigned flags), 1)                                                     \
  X(CUresult, cuEventDestroy_v2, (CUevent event), 1)                                                                   \
  X(CUresult, cuEventRecord, (CUevent event, CUstream stream), 1)                                                      \
  X(CUresult, cuEventQuery, (CUevent event), 1)                                                                        \
  X(CUresult, cuEventElapsedTime, (float *milliseconds, CUevent from, CUevent to), 1)                                  \
  X(CUresult, cuMemAllocAsync, (CUdeviceptr * data, size_t bytes, CUstream stream), 1)                                 \
  X(CUresult, cuMemFreeAsync, (CUdeviceptr data, CUstream stream), 1)                                                  \
  X(CUresult, cuDeviceGetDefaultMemPool, (CUmemoryPool * pool, CUdevice device), 1)                                    \
  X(CUresult, cuMemPoolSetAttribute, (CUmemoryPool pool, int attribute, void *value), 1)                               \
  X(CUresult, cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t bytes, CUstream stream), 1)              \
  X(CUresult, cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream stream), 1)                    \
  X(CUresult, cuModuleLoadDataEx, (CUmodule * module, const void *image, unsigned count, int *options, void **values), \
    1)                                                                                                                 \
  X(CUresult, cuModuleUnload, (CUmodule module), 1)                                                                    \
  X(CUresult, cuModuleGetFunction, (CUfunction * function, CUmodule module, const char *name), 1)                      \
  X(CUresult, cuModuleGetGlobal_v2, (CUdeviceptr * data, size_t * bytes, CUmodule module, const char *name), 1)        \
  X(CUresult, cuFuncGetAttribute, (int *value, int attribute, CUfunction function), 1)                                 \
  X(CUresult, cuFuncSetAttribute, (CUfunction function, int attribute, int value), 1)                                  \
  X(CUresult, cuLaunchKernel,                                                                                          \
    (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,       \
     unsigned block_z, unsigned shared, CUstream stream, void **args, void **extra),                                   \
    1)                                                                                                                 \
  X(CUresult, cuStreamBeginCapture_v2, (CUstream stream, int mode), 0)                                                 \
  X(CUresult, cuStreamEndCapture, (CUstream stream, CUgraph * graph), 0)                                               \
  X(CUresult, cuGraphGetNodes, (CUgraph graph, void **nodes, size_t *count), 0)                                        \
  X(CUresult, cuGraphInstantiateWithFlags, (CUgraphExec * exec, CUgraph graph, unsigned long long flags), 0)           \
  X(CUresult, cuGraphLaunch, (CUgraphExec exec, CUstream stream), 0)                                                   \
  X(CUresult, cuGraphDestroy, (CUgraph graph), 0)                                                                      \
  X(CUresult, cuGraphExecDestroy, (CUgraphExec exec), 0)                                                               \
  X(CUresult, cuFuncGetParamInfo, (CUfunction function, size_t i, size_t * offset, size_t * bytes), 0)                 \
  X(CUresult, cuLaunchKernelEx, (const struct cuda_launch *launch, CUfunction function, void **args, void **extra), 0) \
  X(CUresult, cuMemAlloc_v2, (CUdeviceptr * data, size_t bytes), 0)                                                    \
  X(CUresult, cuMemFree_v2, (CUdeviceptr data), 0)                                                                     \
  X(CUresult, cuIpcGetMemHandle, (struct cuda_ipc_handle * handle, CUdeviceptr data), 0)                               \
  X(CUresult, cuTensorMapEncodeTiled,                                                                                  \
    (void *map, int type, uint32_t rank, void *data, const uint64_t *sizes, const uint64_t *strides,                   \
     const uint32_t *box, const uint32_t *steps, int interleave, int swizzle, int l2, int fill),                       \
    0)

#define PAH_NVRTC_FUNCTIONS(X)                                                                                         \
  X(nvrtcResult, nvrtcVersion, (int *major, int *minor), 1)                                                            \
  X(const char *, nvrtcGetErrorString, (nvrtcResult result), 1)                                                        \
  X(nvrtcResult, nvrtcGetNumSupportedArchs, (int *count), 1)                                                           \
  X(nvrtcResult, nvrtcGetSupportedArchs, (int *list), 1)                                                               \
  X(nvrtcResult, nvrtcCreateProgram,                                                                                   \
    (nvrtcProgram * program, const char *text, const char *name, int headers, const char *const *header_texts,         \
     const char *const *header_names),                                                                                 \
    1)                                                                                                                 \
  X(nvrtcResult, nvrtcDestroyProgram, (nvrtcProgram * program), 1)                                                     \
  X(nvrtcResult, nvrtcAddNameExpression, (nvrtcProgram program, const char *name), 1)                                  \
  X(nvrtcResult, nvrtcCompileProgram, (nvrtcProgram program, int count, const char *const *options), 1)                \
  X(nvrtcResult, nvrtcGetProgramLogSize, (nvrtcProgram program, size_t * bytes), 1)                                    \
  X(nvrtcResult, nvrtcGetProgramLog, (nvrtcProgram program, char *log), 1)                                             \
  X(nvrtcResult, nvrtcGetLoweredName, (nvrtcProgram program, const char *name, const char **lowered), 1)               \
  X(nvrtcResult, nvrtcGetCUBINSize, (nvrtcProgram program, size_t * bytes), 1)                                         \
  X(nvrtcResult, nvrtcGetCUBIN, (nvrtcProgram program, char *image), 1)                                                \
  X(nvrtcResult, nvrtcGetPTXSize, (nvrtcProgram program, size_t * bytes), 1)                                           \
  X(nvrtcResult, nvrtcGetPTX, (nvrtcProgram program, char *image), 1)

#define PAH_DECLARE_FUNCTION(type, name, arguments, needed) type(*name) arguments;
struct cuda_api {
  PAH_CUDA_FUNCTIONS(PAH_DECLARE_FUNCTION)
};
struct nvrtc_api {
  PAH_NVRTC_FUNCTIONS(PAH_DECLARE_FUNCTION)
};
#undef PAH_DECLARE_FUNCTION

extern struct cuda_api cu;     /* filled by cuda_open_driver */
extern struct nvrtc_api nvrtc; /* filled by cuda_open_nvrtc */

enum { /* CUresult */
       CUDA_SUCCESS = 0,
       CUDA_ERROR_OUT_OF_MEMORY = 2,
       CUDA_ERROR_NO_DEVICE = 100,
       CUDA_ERROR_NOT_FOUND = 500,
       CUDA_ERROR_NOT_READY = 600
};
enum { CU_COOPERATIVE = 2, CU_CLUSTER_DIMENSION = 4 }; /* CUlaunchAttributeID */
enum {                                                 /* nvrtcResult */
       NVRTC_ERROR_OUT_OF_MEMORY = 1,
       NVRTC_ERROR_COMPILATION = 6,
       NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID = 10
};
enum { /* CUdevice_attribute */
       CU_CLOCK_RATE = 13,
       CU_MULTIPROCESSOR_COUNT = 16,
       CU_PCI_BUS_ID = 33,
       CU_PCI_DEVICE_ID = 34,
       CU_L2_CACHE_SIZE = 38,
       CU_PCI_DOMAIN_ID = 50,
       CU_COMPUTE_CAPABILITY_MAJOR = 75,
       CU_COMPUTE_CAPABILITY_MINOR = 76,
       CU_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
       CU_MEMORY_POOLS_SUPPORTED = 115
};
enum { /* CUfunction_attribute */
       CU_FUNC_MAX_THREADS_PER_BLOCK = 0,
       CU_FUNC_SHARED_SIZE_BYTES = 1,
       CU_FUNC_CONST_SIZE_BYTES = 2,
       CU_FUNC_LOCAL_SIZE_BYTES = 3,
       CU_FUNC_NUM_REGS = 4,
       CU_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
       CU_FUNC_NON_PORTABLE_CLUSTER_SIZE_ALLOWED = 14
};
enum {
  CU_STREAM_NON_BLOCKING = 1,
  CU_EVENT_DISABLE_TIMING = 2,
  CU_MEMPOOL_ATTR_RELEASE_THRESHOLD = 4,
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6
};

/* Open the libraries, once for the process. PAH_EDEVICE says what is missing and the cure. $PAH_LIBCUDA and
 * $PAH_LIBNVRTC name other files. */
int cuda_open_driver(void);
int cuda_open_nvrtc(void);
/* What tells one NVRTC from another of the same version: its file, size and time. */
const char *cuda_nvrtc_build(void);
/* The folder of the toolkit's headers, or NULL: cuda_fp16.h and the like are not part of NVRTC. */
const char *cuda_toolkit_headers(void);

/* "CUDA_ERROR_OUT_OF_MEMORY (out of memory)" */
const char *cuda_error_text(CUresult error, char *text, size_t bytes);

#endif
