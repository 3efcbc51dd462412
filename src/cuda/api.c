/* api.c - opens libcuda and NVRTC and finds their functions by the lists of api.h.
 * Promises: opened once and never closed; a library that lacks a function is refused by that function's name.
 * Read next: device.c, nvrtc.c. */
#define _GNU_SOURCE
#include "api.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

struct cuda_api cu;
struct nvrtc_api nvrtc;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int driver_open, nvrtc_open;

struct entry {
  const char *name;
  size_t offset;
  int needed;
};

#define ENTRY(type, name, arguments, needed) {#name, offsetof(struct API, name), needed},
#define API cuda_api
static const struct entry cuda_entries[] = {PAH_CUDA_FUNCTIONS(ENTRY)};
#undef API
#define API nvrtc_api
static const struct entry nvrtc_entries[] = {PAH_NVRTC_FUNCTIONS(ENTRY)};
#undef API
#undef ENTRY

static int resolve(void *library, const char *file, const struct entry *entries, size_t count, char *api) {
  for (size_t i = 0; i < count; i++) {
    void *function = dlsym(library, entries[i].name);
    if (!function && entries[i].needed)
      return pah_fail(PAH_EDEVICE, "cuda is not usable because %s is too old: it has no %s; install a newer one", file,
                      entries[i].name);
    memcpy(api + entries[i].offset, &function, sizeof function);
  }
  return PAH_OK;
}

int cuda_open_driver(void) {
  const char *asked = getenv("PAH_LIBCUDA"), *file = asked && *asked ? asked : "libcuda.so.1";
  int status = PAH_OK;
  pthread_mutex_lock(&lock);
  if (!driver_open) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library)
      status =
          pah_fail(PAH_EDEVICE,
                   "cuda is not usable because %s cannot be opened: %s; install an NVIDIA driver%s, or use device "
                   "\"cpu\" or \"sim\"",
                   file, asked ? dlerror() : "no NVIDIA driver is installed here", asked ? " or mend PAH_LIBCUDA" : "");
    else
      status = resolve(library, file, cuda_entries, sizeof cuda_entries / sizeof *cuda_entries, (char *)&cu);
    if (library && status) dlclose(library);
    driver_open = !status;
  }
  pthread_mutex_unlock(&lock);
  return status;
}

/* ---- NVRTC and the toolkit it belongs to ---- */

static const char *const toolkit_variables[] = {"CUDA_HOME", "CUDA_PATH"};
static const char *const library_folders[] = {"lib64", "lib", "targets/x86_64-linux/lib"};

static void *open_in_toolkit(const char *root, char *file, size_t bytes) {
  void *library = NULL;
  for (size_t i = 0; root && *root && !library && i < sizeof library_folders / sizeof *library_folders; i++) {
    snprintf(file, bytes, "%s/%s/libnvrtc.so", root, library_folders[i]);
    library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  }
  return library;
}

/* $PAH_LIBNVRTC alone if it is set; else that of CUDA_HOME, those that the loader knows, that of /usr/local/cuda. */
static void *find_nvrtc(char *file, size_t bytes) {
  static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"};
  const char *asked = getenv("PAH_LIBNVRTC");
  void *library = NULL;
  if (asked && *asked) {
    snprintf(file, bytes, "%s", asked);
    return dlopen(asked, RTLD_NOW | RTLD_LOCAL);
  }
  for (size_t i = 0; i < 2 && !library; i++) library = open_in_toolkit(getenv(toolkit_variables[i]), file, bytes);
  for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++) {
    snprintf(file, bytes, "%s", names[i]);
    library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  }
  return library ? library : open_in_toolkit("/usr/local/cuda", file, bytes);
}

int cuda_open_nvrtc(void) {
  char file[PATH_MAX];
  int status = PAH_OK;
  pthread_mutex_lock(&lock);
  if (!nvrtc_open) {
    void *library = find_nvrtc(file, sizeof file);
    const char *asked = getenv("PAH_LIBNVRTC");
    if (!library)
      status = pah_fail(PAH_EDEVICE,
                        "cuda is not usable because NVRTC (%s) cannot be opened%s%s; install the CUDA Toolkit and set "
                        "CUDA_HOME, or set PAH_LIBNVRTC",
                        asked && *asked ? asked : "libnvrtc.so", asked && *asked ? ": " : "",
                        asked && *asked ? dlerror() : "");
    else
      status = resolve(library, file, nvrtc_entries, sizeof nvrtc_entries / sizeof *nvrtc_entries, (char *)&nvrtc);
    if (library && status) dlclose(library);
    nvrtc_open = !status;
  }
  pthread_mutex_unlock(&lock);
  return status;
}

const char *cuda_nvrtc_build(void) {
  static char text[PATH_MAX + 64];
  struct stat about = {0};
  Dl_info info;
  if (!dladdr((void *)(uintptr_t)nvrtc.nvrtcVersion, &info) || !info.dli_fname || stat(info.dli_fname, &about))
    return "";
  snprintf(text, sizeof text, "%s %lld %lld", info.dli_fname, (long long)about.st_size,
           (long long)about.st_mtim.tv_sec);
  return text;
}

const char *cuda_toolkit_headers(void) {
  static char path[PATH_MAX + 32];
  char root[PATH_MAX];
  const char *roots[4] = {getenv("CUDA_HOME"), getenv("CUDA_PATH"), NULL, "/usr/local/cuda"};
  Dl_info info;
  if (nvrtc.nvrtcVersion && dladdr((void *)(uintptr_t)nvrtc.nvrtcVersion, &info) && info.dli_fname &&
      realpath(info.dli_fname, root)) {
    for (char *end; (end = strrchr(root, '/'));) { /* the nearest folder above the library that has include/ */
      *end = 0;
      snprintf(path, sizeof path, "%s/include/cuda_fp16.h", root);
      if (access(path, R_OK) == 0) roots[2] = root;
      if (roots[2]) break;
    }
  }
  for (int i = 0; i < 4; i++) {
    if (!roots[i] || !*roots[i]) continue;
    snprintf(path, sizeof path, "%.4000s/include/cuda_fp16.h", roots[i]);
    if (access(path, R_OK) == 0) return *strrchr(path, '/') = 0, path;
  }
  return NULL;
}

const char *cuda_error_text(CUresult error, char *text, size_t bytes) {
  const char *name = NULL, *words = NULL;
  if (cu.cuGetErrorName) cu.cuGetErrorName(error, &name);
  if (cu.cuGetErrorString) cu.cuGetErrorString(error, &words);
  snprintf(text, bytes, "%s (%s)", name ? name : "CUDA error", words ? words : "unknown");
  if (!name) snprintf(text, bytes, "CUDA error %d", error);
  return text;
}
