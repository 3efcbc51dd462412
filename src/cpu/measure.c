/* cpu/measure.c - what this processor can do at most, by custom loops with the threads that the kernels have:
 * multiply-adds, and reads of memory, in order or by shuffled blocks. Reading is also how caches are made cold.
 * Read next: peaks.h (the loops), lua/pah/measure/peaks.lua (who calls). */
#define _GNU_SOURCE
#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"
#include "isa.h"

enum { HUGE_PAGE = 2 << 20 };

struct pah_reader {
  const struct pah_cpu_isa *isa;
  char *data;
  int64_t bytes, block_bytes, blocks; /* block_bytes 0: every thread reads a piece of its own in order */
  int64_t *order;                     /* of the blocks */
  int apart;                          /* eight pages of a piece or block at a time */
};

static double on_all_threads(double (*measure)(double seconds), double duration) {
  double total = 0;
#pragma omp parallel num_threads(pah_get_threads()) reduction(+ : total)
  total += measure(duration);
  return total;
}

int pah_measure_fma_flops(struct pah_device *device, double duration, double *flops) {
  const struct pah_cpu_isa *isa;
  int status = pah_cpu_isa_of(device, &isa);
  if (!status) *flops = on_all_threads(isa->fma_flops, duration);
  return status;
}

int pah_measure_dots_flops(struct pah_device *device, double duration, double *flops) {
  const struct pah_cpu_isa *isa;
  int status = pah_cpu_isa_of(device, &isa);
  if (!status) *flops = on_all_threads(isa->dots_flops, duration);
  return status;
}

static void write_all(struct pah_reader *r) {
  int threads = pah_get_threads();
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < r->bytes / 4096; i++) memset(r->data + i * 4096, (int)i, 4096);
}

/* A permutation by Fisher and Yates, with the multiplier of Knuth's MMIX generator: it need only be without order. */
static void shuffle(int64_t *order, int64_t count) {
  uint64_t state = 88172645463325252u;
  for (int64_t i = 0; i < count; i++) order[i] = i;
  for (int64_t i = count - 1; i > 0; i--) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    int64_t j = (int64_t)((state >> 33) % (uint64_t)(i + 1)), held = order[i];
    order[i] = order[j], order[j] = held;
  }
}

int pah_reader_new(struct pah_device *device, int64_t bytes, int64_t block_bytes, struct pah_reader **reader) {
  const struct pah_cpu_isa *isa;
  int status = pah_cpu_isa_of(device, &isa);
  if (status) return status;
  if (bytes < 4096) return pah_fail(PAH_EINVAL, "reader: bytes is %lld, must be at least 4096", (long long)bytes);
  if (block_bytes < 0 || block_bytes > bytes)
    return pah_fail(PAH_EINVAL, "reader: block_bytes is %lld, must be 0 to %lld", (long long)block_bytes,
                    (long long)bytes);
  struct pah_reader *r = calloc(1, sizeof *r);
  if (!r) return pah_fail(PAH_ENOMEM, "reader: no memory");
  r->isa = isa;
  r->block_bytes = block_bytes;
  r->blocks = block_bytes ? bytes / block_bytes : 0;
  r->bytes = (bytes + 4095) / 4096 * 4096;
  void *data = NULL;
  if (!status && posix_memalign(&data, bytes < HUGE_PAGE ? 4096 : HUGE_PAGE, (size_t)r->bytes))
    status = pah_fail(PAH_ENOMEM, "reader: no memory for %lld bytes", (long long)bytes);
  r->data = data;
  if (!status && block_bytes && !(r->order = malloc((size_t)r->blocks * sizeof *r->order)))
    status = pah_fail(PAH_ENOMEM, "reader: no memory for %lld blocks", (long long)r->blocks);
  if (status) {
    pah_reader_free(r);
    return status;
  }
  if (bytes >= HUGE_PAGE) madvise(data, (size_t)r->bytes, MADV_HUGEPAGE);
  if (r->order) shuffle(r->order, r->blocks);
  write_all(r);
  *reader = r;
  return PAH_OK;
}

static uint64_t read_blocks(struct pah_reader *r, int threads) {
  uint64_t sum = 0;
  int64_t bytes = r->block_bytes;
#pragma omp parallel for num_threads(threads) reduction(^ : sum) schedule(static)
  for (int64_t i = 0; i < r->blocks; i++) sum ^= r->isa->read_sum(r->data + r->order[i] * bytes, bytes, r->apart);
  return sum;
}

/* What a thread reads when it reads eight pages at a time. */
enum { APART = 8 * 4096 };

static uint64_t read_part(const struct pah_reader *r, const char *data, int64_t bytes) {
  uint64_t sum = 0;
  for (; r->apart && bytes >= APART; data += APART, bytes -= APART) sum ^= r->isa->read_sum(data, APART, 1);
  return sum ^ r->isa->read_sum(data, bytes, 0);
}

/* The threads do not wait for each other between passes, as small sets would only measure that. */
static uint64_t read_in_order(struct pah_reader *r, int64_t passes, int threads) {
  uint64_t sum = 0;
#pragma omp parallel num_threads(threads) reduction(^ : sum)
  {
    int64_t lines = r->bytes / 64, n = omp_get_num_threads(), i = omp_get_thread_num();
    int64_t from = lines * i / n * 64, to = lines * (i + 1) / n * 64;
    for (int64_t pass = 0; pass < passes; pass++) sum ^= read_part(r, r->data + from, to - from);
  }
  return sum;
}

void pah_reader_apart(struct pah_reader *r, int on) {
  r->apart = on;
}

double pah_reader_pass(struct pah_reader *r, int64_t passes) {
  uint64_t sum = 0;
  int threads = pah_get_threads();
  double start = pah_clock();
  if (r->order)
    for (int64_t i = 0; i < passes; i++) sum ^= read_blocks(r, threads);
  else
    sum = read_in_order(r, passes, threads);
  double end = pah_clock();
  volatile uint64_t keep = sum;
  (void)keep;
  return end - start;
}

void pah_reader_flush(struct pah_reader *r) {
  write_all(r); /* what was dirty in the caches goes to memory; the read after it leaves clean lines behind */
  pah_reader_pass(r, 1);
}

void pah_reader_free(struct pah_reader *r) {
  if (!r) return;
  free(r->data);
  free(r->order);
  free(r);
}

/* ---- Threads on processors --------------------------------------------------------------------------------- */

static cpu_set_t allowed; /* before the first pin */
static int allowed_known;

int pah_pin_threads(int on) {
  if (!allowed_known) {
    if (sched_getaffinity(0, sizeof allowed, &allowed))
      return pah_fail(PAH_EDEVICE, "pin: the system does not say on which processors this process may run");
    allowed_known = 1;
  }
  int cpus[CPU_SETSIZE], count = 0, threads = pah_get_threads(), failed = 0;
  for (int i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &allowed)) cpus[count++] = i;
  if (on && threads > count)
    return pah_fail(PAH_EINVAL, "pin: there are %d threads for %d processors, must be no more", threads, count);
#pragma omp parallel num_threads(threads) reduction(+ : failed)
  {
    cpu_set_t one = allowed;
    if (on) {
      CPU_ZERO(&one);
      CPU_SET(cpus[omp_get_thread_num()], &one);
    }
    failed += sched_setaffinity(0, sizeof one, &one) != 0;
  }
  return failed ? pah_fail(PAH_EDEVICE, "pin: the system refused it for %d of %d threads", failed, threads) : PAH_OK;
}
