/* cpu/device.c - the cpu device: memory, threads, and the choice of an instruction-set object at start.
 * The device's name ("cpu:avx2") or PAH_ISA picks one; otherwise the best that processor and system (xgetbv) support.
 * Read next: isa.h, then cpu/forward/run.h. */
#define _GNU_SOURCE
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "config.h"

#include "device.h"
#include "error.h"
#include "isa.h"
#include "scratch.h"

/* ---- Instruction sets ---------------------------------------------------------------------------------- */

static int has_generic(void) {
  return 1;
}

#if defined(PAH_HAVE_X86_ISAS)
/* __builtin_cpu_supports looks at cpuid and at xgetbv, so the system saves the registers too. */
static int has_avx2(void) {
  /* clang 14 knows no "f16c"; every processor with AVX2 has it. */
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static int has_avx512bf16(void) {
  return has_avx512() && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bf16");
}

#if defined(PAH_HAVE_FP16_ISA)
/* By cpuid, since clang 14 knows no name for it; the system saves the registers if it does for AVX-512. */
static int has_avx512fp16(void) {
  unsigned a, b, c, d;
  return has_avx512bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 23 & 1) && (c >> 8 & 1); /* and GFNI */
}

/* By cpuid and xgetbv; and Linux saves the tiles only of processes that have asked for it. */
static int has_tile_unit(void) {
  enum { REQUEST = 0x1023 /* ARCH_REQ_XCOMP_PERM */, TILES = 18 /* their bit in XCR0; 17 is their shape's */ };
  unsigned a, b, c, d, low, high;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return 0; /* AMX-BF16, AMX-TILE */
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  (void)high;
  return (low >> (TILES - 1) & 3) == 3 && syscall(SYS_arch_prctl, REQUEST, TILES) == 0;
}

int pah_cpu_amx_emulated;

static int amx_usable; /* 2 where the unit is emulated, as PAH_AMX wishes */

static void look_for_amx(void) {
  const char *wanted = getenv("PAH_AMX");
  if (!has_avx512fp16()) return;
  pah_cpu_amx_emulated = wanted && !strcmp(wanted, "emulate");
  amx_usable = pah_cpu_amx_emulated ? 2 : has_tile_unit();
}

/* Decided once: kernels read pah_cpu_amx_emulated while they run. */
static int has_amx(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, look_for_amx);
  return amx_usable;
}
#endif
#endif

/* Worst first. The generic object has what every processor of the architecture has: SSE2, on aarch64 NEON. */
static const struct {
  const struct pah_cpu_isa *isa;
  int (*usable)(void); /* 1, 0, or 2: usable, but never chosen unless it is named */
} isas[] = {
    {&pah_cpu_generic, has_generic},
#if defined(PAH_HAVE_X86_ISAS)
    {&pah_cpu_avx2, has_avx2},
    {&pah_cpu_avx512, has_avx512},
    {&pah_cpu_avx512bf16, has_avx512bf16},
#endif
#if defined(PAH_HAVE_FP16_ISA)
    {&pah_cpu_avx512fp16, has_avx512fp16},
    {&pah_cpu_amx, has_amx},
#endif
};
enum { ISA_COUNT = sizeof isas / sizeof *isas };

const char *pah_isa_name(int64_t i) {
  return i >= 0 && i < ISA_COUNT ? isas[i].isa->name : NULL;
}

int pah_isa_usable(const char *name) {
  for (int i = 0; i < ISA_COUNT; i++)
    if (!strcmp(isas[i].isa->name, name)) return isas[i].usable();
  return 0;
}

/* The set of that name; `field` is what named it. */
static int find_isa(const char *field, const char *name, const struct pah_cpu_isa **isa) {
  for (int i = 0; i < ISA_COUNT; i++) {
    if (strcmp(isas[i].isa->name, name) != 0) continue;
    if (!isas[i].usable()) return pah_fail(PAH_EDEVICE, "%s: this processor has no %s", field, name);
    *isa = isas[i].isa;
    return PAH_OK;
  }
  return pah_fail(PAH_EINVAL, "%s: \"%.32s\" is not an instruction set of this build, must be %s", field, name,
                  pah_names_of(pah_isa_name).text);
}

static int choose_isa(const struct pah_cpu_isa **isa) {
  const char *wanted = getenv("PAH_ISA");
  if (wanted && *wanted) return find_isa("PAH_ISA", wanted, isa);
  int best = ISA_COUNT - 1;
  while (isas[best].usable() != 1) best--;
  *isa = isas[best].isa;
  return PAH_OK;
}

/* What "cpu" or "cpu:ISA" stands for. */
static int isa_of_device(const char *arg, const struct pah_cpu_isa **isa) {
  return *arg ? find_isa("device: cpu", arg, isa) : choose_isa(isa);
}

/* ---- Clocks -------------------------------------------------------------------------------------------- */

static double seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double pah_clock(void) {
  return seconds(CLOCK_MONOTONIC);
}

double pah_cpu_clock(void) {
  return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t pah_page_faults(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) ? 0 : (int64_t)usage.ru_minflt;
}

/* ---- The device ---------------------------------------------------------------------------------------- */

static int cpu_usable(const char *arg) {
  const struct pah_cpu_isa *isa;
  return isa_of_device(arg, &isa);
}

static void read_model(char *model, size_t bytes) {
  FILE *f = fopen("/proc/cpuinfo", "r");
  char line[256];
  while (f && fgets(line, sizeof line, f))
    if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
      char *name = strchr(line, ':') + 2;
      name[strcspn(name, "\n")] = 0;
      strncpy(model, name, bytes - 1);
      break;
    }
  if (f) fclose(f);
}

static int cpu_open(struct pah_device *dev, const char *arg) {
  const struct pah_cpu_isa *isa;
  int status = isa_of_device(arg, &isa);
  if (status) return status;
  dev->state = (void *)isa;
  struct pah_device_info *info = &dev->info;
#if defined(__x86_64__)
  strcpy(info->arch, "x86_64");
#elif defined(__aarch64__)
  strcpy(info->arch, "aarch64");
#else
  strcpy(info->arch, "unknown");
#endif
  strncpy(info->isa, isa->name, sizeof info->isa - 1);
  read_model(info->model, sizeof info->model);
  info->bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
#ifdef _SC_LEVEL3_CACHE_SIZE
  long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
  info->cache_bytes = l3 > 0 ? l3 : 0;
#endif
  info->host_memory = 1;
  return PAH_OK;
}

/* From this size on memory comes from mmap and asks for huge pages: a shuffled block table then costs a fraction of
 * the TLB misses (worth 1.2x to 1.3x in decode on a Zen 4). */
enum { HUGE_PAGE = 2 << 20, MAP_FROM = 4 << 20 };

static int64_t round_up(int64_t bytes, int64_t to) {
  return (bytes + to - 1) / to * to;
}

static int cpu_alloc(struct pah_device *dev, int64_t bytes, void **data) {
  if (bytes > dev->info.bytes)
    return pah_fail(PAH_ENOMEM, "cpu: cannot allocate %lld bytes, the machine has %lld", (long long)bytes,
                    (long long)dev->info.bytes);
  if (bytes < MAP_FROM) {
    *data = aligned_alloc(64, (size_t)round_up(bytes, 64));
    if (*data) return PAH_OK;
  } else {
    void *p = NULL;
    if (!posix_memalign(&p, HUGE_PAGE, (size_t)round_up(bytes, HUGE_PAGE))) {
      madvise(p, (size_t)round_up(bytes, HUGE_PAGE), MADV_HUGEPAGE);
      *data = p;
      return PAH_OK;
    }
  }
  return pah_fail(PAH_ENOMEM, "cpu: no memory for %lld bytes", (long long)bytes);
}

static void cpu_free(struct pah_device *dev, void *data, int64_t bytes) {
  (void)dev;
  (void)bytes;
  free(data);
}

static const struct pah_cpu_isa *isa_of(struct pah_device *dev) {
  return dev->state;
}

int pah_cpu_isa_of(struct pah_device *dev, const struct pah_cpu_isa **isa) {
  if (dev->ops != &pah_cpu_ops) return pah_fail(PAH_EINVAL, "device: is %s, must be a cpu", dev->info.name);
  *isa = isa_of(dev);
  return PAH_OK;
}

static int cpu_attention(struct pah_device *dev, int op, const struct pah_attn *a) {
  const struct pah_cpu_isa *isa = isa_of(dev);
  int threads = pah_get_threads();
  switch (op) {
  case PAH_DECODE: return isa->decode(a, threads, isa->amx);
  case PAH_BWD: return isa->bwd(a, threads, isa->amx);
  default: return isa->fwd(a, threads, isa->amx);
  }
}

static int cpu_merge(struct pah_device *dev, const struct pah_merge *m) {
  return isa_of(dev)->merge(m, pah_get_threads());
}

static int cpu_kv_append(struct pah_device *dev, const struct pah_kv_append *c) {
  return isa_of(dev)->kv_append(c, pah_get_threads());
}

/* The one figure that a script may change. */
static void cpu_info(struct pah_device *dev, struct pah_device_info *info) {
  (void)dev;
  info->threads = pah_get_threads();
}

static void cpu_memory(struct pah_device *dev, struct pah_memory *memory) {
  (void)dev;
  memory->scratch_bytes = pah_scratch_bytes();
}

const struct pah_device_ops pah_cpu_ops = {
    .kind = "cpu",
    .usable = cpu_usable,
    .open = cpu_open,
    .info = cpu_info,
    .memory = cpu_memory,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .attention = cpu_attention,
    .merge = cpu_merge,
    .kv_append = cpu_kv_append,
};
