/* verdict.c - contents of tables that the host cannot read, checked without waiting for it: a check kernel leaves a
 * verdict on the device, the kernels of the call look at it before anything else, and the host when it next waits.
 * Promises: a call that is refused writes nothing; its error has the words of the host's own check and is raised once.
 * Read next: kernels/verdict.cuh, kernels/check.cu, attention/attn_contents.c. */
#include <stdlib.h>
#include <string.h>

#include "../../kernels/params.h"
#include "attention/attn_check.h"
#include "error.h"
#include "gpu.h"

_Static_assert((int)CHECK_CU_FIRST == PAH_RULE_CU_FIRST && (int)CHECK_CU_ORDER == PAH_RULE_CU_ORDER &&
                   (int)CHECK_CU_TOTAL == PAH_RULE_CU_TOTAL && (int)CHECK_SEQUSED == PAH_RULE_SEQUSED &&
                   (int)CHECK_QUERIES == PAH_RULE_QUERIES && (int)CHECK_TABLE == PAH_RULE_TABLE &&
                   (int)CHECK_SLOT_RANGE == PAH_RULE_SLOT_RANGE && (int)CHECK_SLOT_TWICE == PAH_RULE_SLOT_TWICE,
               "enum pah_check_rule");

enum { CHECK_THREADS = 256 };

int pah_gpu_checks(const struct pah_device *dev) {
  struct pah_gpu_state *s = dev->state;
  if (dev->ops->host_readable || s->check_off) return 0;
  if (!s->check_asked) {
    const char *asked = getenv("PAH_CUDA_CHECK");
    s->check_asked = asked && !strcmp(asked, "0") ? 2 : 1;
  }
  return s->check_asked == 1;
}

int pah_gpu_check_open(struct pah_device *dev, struct pah_verdict **verdict, unsigned *ticket) {
  struct pah_gpu_state *s = dev->state;
  static const struct pah_verdict nothing = {.key = ~0ull};
  if (!s->verdict.data) {
    int status = pah_device_alloc(dev, sizeof nothing, &s->verdict.data);
    if (status) return status;
    s->verdict.bytes = sizeof nothing;
    status = dev->ops->copy_in(dev, s->verdict.data, &nothing, sizeof nothing);
    if (status) {
      pah_gpu_drop(dev, &s->verdict);
      return status;
    }
  }
  if (++s->ticket == 0) s->ticket = 1; /* 0 is no call */
  *verdict = s->verdict.data;
  *ticket = s->ticket;
  return PAH_OK;
}

int pah_gpu_check_launch(struct pah_device *dev, const char *kernel, int64_t thread_blocks, const void *params) {
  struct pah_gpu_call call = {
      .file = "check.cu", .kernel = kernel, .grid = {thread_blocks, 1, 1}, .threads = CHECK_THREADS, .args = {params}};
  ((struct pah_gpu_state *)dev->state)->unseen = 1;
  return pah_gpu_call(dev, &call);
}

int pah_gpu_look(struct pah_device *dev) {
  struct pah_gpu_state *s = dev->state;
  struct pah_check_result r, none = {0};
  if (!s->unseen) return PAH_OK;
  s->unseen = 0; /* before the copy, which looks too */
  struct pah_verdict *v = s->verdict.data;
  int status = dev->ops->copy_out(dev, &r, &v->first, sizeof r);
  if (!status && r.rule) status = dev->ops->copy_in(dev, &v->first, &none, sizeof none);
  if (status) s->unseen = 1;
  if (status || !r.rule) return status;
  return pah_contents_fail(&(struct pah_broken_rule){r.rule, r.sequence, r.index, r.value, r.limit});
}

int pah_gpu_fetch(const struct pah_tensor *t, struct pah_tensor *copy) {
  *copy = *t;
  if (t->dtype == PAH_NONE) return PAH_OK;
  int64_t last = 0;
  for (int i = 0; i < t->ndim; i++) {
    if (!t->shape[i]) return PAH_OK;
    last += (t->shape[i] - 1) * t->stride[i];
  }
  int64_t bytes = (last + 1) * pah_dtype_size(t->dtype);
  copy->data = malloc((size_t)bytes);
  if (!copy->data) return pah_fail(PAH_ENOMEM, "no memory to look at %lld bytes", (long long)bytes);
  return t->device->ops->copy_out(t->device, copy->data, t->data, bytes);
}
