/* cuda/graph.c - launches recorded once and started together: while a device records, its launches go into a graph in
 * place of the stream, and whatever would make the recorded calls differ from the replayed ones is refused by name.
 * Memory that is freed meanwhile is freed behind the recording; memory that calls keep stays while a graph may use it
 * (gpu/modules.c). Read next: graph.c of src/, module.c. */
#include <stdlib.h>

#include "error.h"
#include "state.h"

enum { THREAD_LOCAL = 1 }; /* CUstreamCaptureMode: what other threads do is their own */

struct graph {
  CUgraphExec exec;
};

int cuda_not_recorded(struct pah_device *dev, const char *what) {
  struct cuda_state *s = dev->state;
  if (!s->recording) return PAH_OK;
  return pah_fail(PAH_EINVAL, "graph: %s inside, must be done before: a graph repeats launches only", what);
}

int cuda_graph_begin(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  int status = cuda_enter(dev);
  if (!status && !cu.cuStreamBeginCapture_v2)
    status = pah_fail(PAH_EUNSUPPORTED, "graph: the driver has no graphs: it is older than CUDA 11.4");
  if (!status) status = cuda_not_recorded(dev, "another graph");
  if (!status) status = cuda_wait(dev); /* so that no mark of watch.c is left open */
  if (status) return status;
  CUresult r = cu.cuStreamBeginCapture_v2(s->stream, THREAD_LOCAL);
  if (r) return cuda_fail(dev, r, "cuStreamBeginCapture", NULL);
  s->recording = 1;
  return PAH_OK;
}

/* What was freed while the stream recorded. */
static void free_rest(struct cuda_state *s) {
  for (int64_t i = 0; i < s->freed_count; i++) cu.cuMemFreeAsync(s->freed[i], s->stream);
  free(s->freed);
  s->freed = NULL;
  s->freed_count = s->freed_room = 0;
}

int cuda_free_later(struct cuda_state *s, CUdeviceptr data) {
  if (s->freed_count == s->freed_room) {
    int64_t room = s->freed_room ? 2 * s->freed_room : 64;
    CUdeviceptr *more = realloc(s->freed, (size_t)room * sizeof *more);
    if (!more) return -1;
    s->freed = more;
    s->freed_room = room;
  }
  s->freed[s->freed_count++] = data;
  return 0;
}

static int make(struct pah_device *dev, CUgraph recorded, int64_t *launches, struct graph **made) {
  size_t nodes = 0;
  CUresult r = cu.cuGraphGetNodes(recorded, NULL, &nodes);
  if (r) return cuda_fail(dev, r, "cuGraphGetNodes", NULL);
  if (!nodes) return pah_fail(PAH_EINVAL, "graph: the function launches nothing, must launch something");
  struct graph *g = calloc(1, sizeof *g);
  if (!g) return pah_fail(PAH_ENOMEM, "graph: no memory");
  r = cu.cuGraphInstantiateWithFlags(&g->exec, recorded, 0);
  if (r) {
    free(g);
    return cuda_fail(dev, r, "cuGraphInstantiate", NULL);
  }
  pah_gpu_keep_areas(dev, 1);
  *launches = (int64_t)nodes;
  *made = g;
  return PAH_OK;
}

int cuda_graph_end(struct pah_device *dev, void **made, int64_t *launches) {
  struct cuda_state *s = dev->state;
  CUgraph recorded = NULL;
  struct graph *g = NULL;
  int status = cuda_enter(dev);
  s->recording = 0;
  if (*s->lost) return status;
  CUresult r = cu.cuStreamEndCapture(s->stream, &recorded);
  if (!status && r) status = cuda_fail(dev, r, "cuStreamEndCapture", NULL);
  free_rest(s);
  if (!status && made) status = make(dev, recorded, launches, &g);
  if (recorded) cu.cuGraphDestroy(recorded);
  if (made) *made = g;
  return status;
}

int cuda_graph_launch(struct pah_device *dev, void *graph) {
  struct cuda_state *s = dev->state;
  int status = cuda_enter(dev);
  if (!status) status = cuda_not_recorded(dev, "the launch of a graph");
  if (status) return status;
  CUresult r = cu.cuGraphLaunch(((struct graph *)graph)->exec, s->stream);
  if (r) return cuda_fail(dev, r, "cuGraphLaunch", NULL);
  s->gpu.unseen = s->gpu.verdict.data != NULL; /* its checks may find something again */
  return cuda_launched(dev, "of a graph", s->limit);
}

void cuda_graph_free(struct pah_device *dev, void *graph) {
  struct cuda_state *s = dev->state;
  struct graph *g = graph;
  if (!s->stuck) {
    cu.cuCtxSetCurrent(s->context);
    cu.cuGraphExecDestroy(g->exec); /* one that runs goes when it is done */
  }
  pah_gpu_keep_areas(dev, -1);
  free(g);
}
