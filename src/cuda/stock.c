/* cuda/stock.c - large pieces of memory that were freed, kept for the next of the same size: the driver's pool takes as
 * long to hand out 128 MiB as a copy of them (138 us on an H200). All work is in the order of one stream, so what was
 * freed may be used at once. When memory runs out the stock goes back to the driver. Read next: device.c. */
#include "state.h"

enum { LARGE = 1 << 20, UNIT = 1 << 21 };

int64_t cuda_piece(int64_t bytes) {
  return bytes < LARGE ? bytes : (bytes + UNIT - 1) / UNIT * UNIT;
}

CUdeviceptr cuda_stock_take(struct cuda_state *s, int64_t piece) {
  for (int i = s->stock_count - 1; i >= 0; i--) {
    if (s->stock[i].bytes != piece) continue;
    CUdeviceptr data = s->stock[i].data;
    s->stock[i] = s->stock[--s->stock_count];
    return data;
  }
  return 0;
}

int cuda_stock_give(struct cuda_state *s, CUdeviceptr data, int64_t piece) {
  if (piece < LARGE || s->stock_count == CUDA_STOCK) return 0;
  s->stock[s->stock_count++] = (struct cuda_stock){data, piece};
  return 1;
}

void cuda_stock_drop(struct cuda_state *s) {
  while (s->stock_count) cu.cuMemFreeAsync(s->stock[--s->stock_count].data, s->stream);
}
