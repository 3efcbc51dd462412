/* graph.c - graphs of the test driver: launches are kept with their arguments while a stream records, and handed to the
 * simulator when the graph is launched. A call that the recording cannot hold fails, as with the real one. */
#include <stdlib.h>
#include <string.h>

#include "driver.h"

enum { MOST_NODES = 16, MOST_ARGUMENT_BYTES = 4096 };

struct node {
  CUfunction function;
  unsigned shape[7];
  int count, at[PAH_MAX_PARAMETERS];
  char bytes[MOST_ARGUMENT_BYTES];
};

struct CUgraph_st {
  int count;
  struct node nodes[MOST_NODES];
};

struct CUgraphExec_st {
  struct CUgraph_st graph;
};

static struct CUgraph_st *recording;

/* 900, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, for what is no launch while the stream records. */
int driver_refused_by_recording(const char *name) {
  static const char *const fine[] = {"cuLaunchKernel", "cuCtxSetCurrent", "cuFunc", "cuStreamEndCapture", "nvrtc"};
  for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
    if (!strncmp(name, fine[i], strlen(fine[i]))) return 0;
  return recording ? 900 : 0;
}

/* 1: there is a recording, which has the launch now. */
int driver_record(CUfunction function, const unsigned shape[7], const struct pah_signature *takes, void **args) {
  if (!recording) return 0;
  struct node *n = &recording->nodes[recording->count++];
  int at = 0;
  n->function = function;
  n->count = takes->count;
  memcpy(n->shape, shape, sizeof n->shape);
  for (int i = 0; i < takes->count; i++) {
    at = (at + 63) / 64 * 64;
    n->at[i] = at;
    memcpy(n->bytes + at, args[i], (size_t)takes->size[i]);
    at += takes->size[i];
  }
  return 1;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
  ENTER();
  recording = calloc(1, sizeof *recording);
  return stream && mode == 1 && recording ? 0 : 1;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  int code = driver_enter(__func__);
  *graph = recording;
  recording = NULL;
  if (code) {
    free(*graph);
    *graph = NULL;
  } else {
    driver_made(OBJECT_GRAPH, 1);
  }
  return code ? code : stream ? 0 : 400;
}

CUresult cuGraphGetNodes(CUgraph graph, void **nodes, size_t *count) {
  ENTER();
  *count = (size_t)graph->count;
  return nodes ? 1 : 0;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
  ENTER();
  *exec = calloc(1, sizeof **exec);
  if (!*exec || flags) return 1;
  (*exec)->graph = *graph;
  driver_made(OBJECT_GRAPH, 1);
  return 0;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  ENTER();
  for (int i = 0; i < exec->graph.count; i++) {
    struct node *n = &exec->graph.nodes[i];
    void *args[PAH_MAX_PARAMETERS];
    for (int k = 0; k < n->count; k++) args[k] = n->bytes + n->at[k];
    int code = cuLaunchKernel(n->function, n->shape[0], n->shape[1], n->shape[2], n->shape[3], n->shape[4], n->shape[5],
                              n->shape[6], stream, args, NULL);
    if (code) return code;
  }
  return 0;
}

CUresult cuGraphDestroy(CUgraph graph) {
  int code = driver_enter(__func__);
  free(graph);
  driver_made(OBJECT_GRAPH, -1);
  return code;
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
  int code = driver_enter(__func__);
  free(exec);
  driver_made(OBJECT_GRAPH, -1);
  return code;
}
