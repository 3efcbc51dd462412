/* std.h - cuda::std is the host's standard library, whose templates are device code as any other on sim. */
#ifndef PAH_SIM_CUDA_STD_H
#define PAH_SIM_CUDA_STD_H

namespace std {}
namespace cuda {
namespace std {
using namespace ::std;
}
} // namespace cuda

#endif
