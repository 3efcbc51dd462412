// maps.cu - tensor maps that a kernel changes, in inline PTX, for ptx_map_spec.lua: one of a parameter, moved to
// another tensor, and one made from zeros. Bug 0 is right, every other number plants one mistake.
#include "ptx.cuh"
using namespace ptx;

#define REPLACE(field, map, value)                                                                                     \
  asm volatile("tensormap.replace.tile." field ".shared::cta.b1024.b32 [%0], %1;" ::"r"(map), "r"(value) : "memory")
#define REPLACE_AT(field, map, i, value)                                                                               \
  asm volatile("tensormap.replace.tile." field ".shared::cta.b1024.b32 [%0], %1, %2;" ::"r"(map), "n"(i), "r"(value)   \
               : "memory")
#define REPLACE_CODE(field, map, value)                                                                                \
  asm volatile("tensormap.replace.tile." field ".shared::cta.b1024.b32 [%0], %1;" ::"r"(map), "n"(value) : "memory")

__device__ void set_address(u32 map, const void *to) {
  asm volatile("tensormap.replace.tile.global_address.shared::cta.b1024.b64 [%0], %1;" ::"r"(map), "l"(to) : "memory");
}
__device__ void set_stride(u32 map, u64 bytes) {
  asm volatile("tensormap.replace.tile.global_stride.shared::cta.b1024.b64 [%0], 0, %1;" ::"r"(map), "l"(bytes)
               : "memory");
}
__device__ void copy_out(void *to, u32 map) {
  asm volatile(
      "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%0], [%1], 128;" ::"l"(
          to),
      "r"(map)
      : "memory");
}
__device__ void acquire(const void *map) {
  asm volatile("fence.proxy.tensormap::generic.acquire.gpu [%0], 128;" ::"l"(map) : "memory");
}

// A box of 4 x 8 by the map, row after row.
template <class T> __device__ void read_box(const tensor_map *map, T *tile, u64 *full, T *out, u32 parity) {
  const int i = threadIdx.x;
  if (i == 0) {
    mbarrier_arrive_expect_tx(shared(full), 32 * sizeof(T));
    tensor_load(shared(tile), *map, 0, 1, shared(full));
  }
  mbarrier_wait(shared(full), parity);
  out[i] = tile[i];
}

// A map of 8 columns, brought to tensor after tensor: another address, fewer rows.
template <int Bug>
__global__ void moved(const __grid_constant__ tensor_map map, tensor_map *own, const float *a, const float *b,
                      float *out) {
  __shared__ __align__(128) tensor_map copy;
  __shared__ __align__(128) float tile[32];
  __shared__ u64 full;
  const int i = threadIdx.x;
  ((unsigned *)&copy)[i] = ((const unsigned *)&map)[i];
  if (i == 0) {
    mbarrier_init(shared(&full), 1);
    fence_mbarrier_init();
  }
  __syncwarp();
  for (int turn = 0; turn < 2; turn++) {
    if (i == 0) {
      set_address(shared(&copy), turn ? b : a);
      REPLACE_AT("global_dim", shared(&copy), 1, turn ? 3 : 5);
      if (Bug == 4) set_stride(shared(&copy), 40);
    }
    if (Bug != 3) __syncwarp();
    if (Bug == 2) {
      ((unsigned *)own)[i] = ((const unsigned *)&copy)[i];
      __threadfence();
      __syncwarp();
    } else if (Bug == 5) {
      ((unsigned *)own)[i] = ((const unsigned *)&copy)[i];
      asm volatile("fence.proxy.tensormap::generic.release.gpu;" ::: "memory");
      __syncwarp();
    } else {
      copy_out(own, shared(&copy));
    }
    if (Bug != 1) acquire(own);
    read_box<float>(own, tile, &full, out + 32 * turn, turn);
    if (Bug != 6) __syncwarp(); // before the map is changed again, and the tile
  }
}

// All fields of a map, from zeros.
extern "C" __global__ void made(tensor_map *own, const unsigned short *a, unsigned rows, unsigned short *out) {
  __shared__ __align__(128) tensor_map map;
  __shared__ __align__(128) unsigned short tile[32];
  __shared__ u64 full;
  const int i = threadIdx.x;
  ((unsigned *)&map)[i] = 0;
  if (i == 0) {
    mbarrier_init(shared(&full), 1);
    fence_mbarrier_init();
  }
  __syncwarp();
  if (i == 0) {
    const u32 m = shared(&map);
    set_address(m, a);
    REPLACE("rank", m, 1);
    REPLACE_AT("box_dim", m, 0, 8);
    REPLACE_AT("box_dim", m, 1, 4);
    REPLACE_AT("global_dim", m, 0, 8);
    REPLACE_AT("global_dim", m, 1, rows);
    set_stride(m, 32);
    REPLACE_AT("element_stride", m, 0, 1);
    REPLACE_AT("element_stride", m, 1, 1);
    REPLACE_CODE("elemtype", m, 10);
    REPLACE_CODE("interleave_layout", m, 0);
    REPLACE_CODE("swizzle_mode", m, 0);
    REPLACE_CODE("fill_mode", m, 0);
  }
  __syncwarp();
  copy_out(own, shared(&map));
  acquire(own);
  read_box<unsigned short>(own, tile, &full, out, 0);
}
