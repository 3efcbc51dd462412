/* graph.c - launches of a device recorded once, to be started together at little cost for the host.
 * Promises: one recording at a time on a device; a graph keeps its device. Read next: device.h, cuda/graph.c. */
#include <stdlib.h>

#include "device.h"
#include "error.h"

struct pah_graph {
  struct pah_device *device; /* retained */
  void *handle;              /* the device's own */
  int64_t launches;
};

int pah_graph_begin(struct pah_device *device) {
  if (!device->ops->graph_begin)
    return pah_fail(PAH_EUNSUPPORTED, "graph: %s has no graphs, must be cuda with a GPU", device->info.name);
  return device->ops->graph_begin(device);
}

int pah_graph_end(struct pah_device *device, struct pah_graph **graph) {
  struct pah_graph *g = graph ? calloc(1, sizeof *g) : NULL;
  if (graph) *graph = NULL;
  int status = device->ops->graph_end(device, g ? &g->handle : NULL, g ? &g->launches : NULL);
  if (graph && !g && !status) status = pah_fail(PAH_ENOMEM, "graph: no memory");
  if (status || !g) {
    free(g);
    return status;
  }
  pah_device_retain(device);
  g->device = device;
  *graph = g;
  return PAH_OK;
}

int pah_graph_launch(struct pah_graph *graph) {
  return graph->device->ops->graph_launch(graph->device, graph->handle);
}

int64_t pah_graph_launches(const struct pah_graph *graph) {
  return graph->launches;
}

void pah_graph_free(struct pah_graph *graph) {
  if (!graph) return;
  graph->device->ops->graph_free(graph->device, graph->handle);
  pah_device_release(graph->device);
  free(graph);
}
