/* limits.c - what a launch may ask of the simulated GPU: shared memory, threads, clusters, and how many thread blocks
 * can run at the same time, which a cooperative launch needs. An error names the field, what it is and what it must be.
 * Read next: device.c, gpu/occupancy.c. */
#include <string.h>

#include "error.h"
#include "gpu/occupancy.h"
#include "launch.h"
#include "sim/compile/build.h"

enum { LARGEST_CLUSTER = 16 };

/* The chips that the architectures are known by: multiprocessors. */
static int multiprocessors(int arch) {
  static const int known[][2] = {{80, 108}, {86, 84}, {89, 142}, {90, 132}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i][0] == arch) return known[i][1];
  return known[0][1];
}

static int check_shared(const struct sim_job *job) {
  const int64_t fixed = job->static_shared, all = fixed + job->launch->shared;
  const int most = pah_arch_limits_of(job->arch)->shared_block;
  if (fixed > 48 * 1024)
    return pah_fail(PAH_EINVAL, "%s: too-much-shared: has %lld bytes of static shared memory, must have at most 49152",
                    job->kernel, (long long)fixed);
  if (all > most)
    return pah_fail(PAH_EINVAL,
                    "%s: too-much-shared: needs %lld bytes of shared memory (%lld static), sm_%d has %d for a "
                    "thread block",
                    job->kernel, (long long)all, (long long)fixed, job->arch, most);
  return PAH_OK;
}

static int64_t product(const int64_t *n) {
  return n[0] * n[1] * n[2];
}

/* Those of the launch, else those of the kernel's __cluster_dims__, which then are the launch's. */
static int check_cluster(const struct sim_job *job, int64_t number, struct pah_launch *l) {
  int64_t own[3];
  const int has_own = sim_cluster_dims(job->image, number, own);
  if (has_own && l->cluster[0] && memcmp(own, l->cluster, sizeof own) != 0)
    return pah_fail(PAH_EINVAL,
                    "%s: cluster: is {%lld, %lld, %lld}, must be the {%lld, %lld, %lld} of its __cluster_dims__",
                    job->kernel, (long long)l->cluster[0], (long long)l->cluster[1], (long long)l->cluster[2],
                    (long long)own[0], (long long)own[1], (long long)own[2]);
  if (has_own) memcpy(l->cluster, own, sizeof own);
  if (!l->cluster[0]) return PAH_OK;
  if (job->arch < 90)
    return pah_fail(PAH_EUNSUPPORTED, "%s: cluster: sm_%d has no clusters of thread blocks, sm_90 has", job->kernel,
                    job->arch);
  for (int i = 0; i < 3; i++)
    if (l->cluster[i] < 1 || l->grid[i] % l->cluster[i])
      return pah_fail(PAH_EINVAL, "%s: cluster: %c is %lld, must divide the grid's, %lld", job->kernel, "xyz"[i],
                      (long long)l -> cluster[i], (long long)l -> grid[i]);
  if (product(l->cluster) > LARGEST_CLUSTER)
    return pah_fail(PAH_EINVAL, "%s: cluster: has %lld thread blocks, must have at most %d (8 on every chip)",
                    job->kernel, (long long)product(l->cluster), LARGEST_CLUSTER);
  return PAH_OK;
}

static int check_cooperative(const struct sim_job *job, const struct pah_launch *l) {
  if (!l->cooperative) return PAH_OK;
  const int64_t blocks = product(l->grid), threads = product(l->block);
  const int32_t fit =
      pah_thread_blocks_per_sm(pah_arch_limits_of(job->arch), threads, 0, job->static_shared + l->shared, NULL);
  const int64_t most = (int64_t)fit * multiprocessors(job->arch);
  if (blocks > most)
    return pah_fail(PAH_EINVAL,
                    "%s: grid: has %lld thread blocks, must have at most %lld in a cooperative launch: %d of %lld "
                    "threads fit on a multiprocessor, sm_%d has %d",
                    job->kernel, (long long)blocks, (long long)most, fit, (long long)threads, job->arch,
                    multiprocessors(job->arch));
  return PAH_OK;
}

int sim_check_limits(const struct sim_job *job, int64_t number, struct pah_launch *l) {
  const int64_t threads = product(l->block);
  const int bounds = sim_launch_bounds(job->image, sim_image_kernel(job->image, number));
  int status = check_shared(job);
  if (!status && threads > bounds)
    status = pah_fail(PAH_EINVAL, "%s: block: has %lld threads, must have at most the %d of its __launch_bounds__",
                      job->kernel, (long long)threads, bounds);
  if (!status) status = check_cluster(job, number, l);
  return status ? status : check_cooperative(job, l);
}
