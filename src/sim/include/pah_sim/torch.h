/* torch.h - what PyTorch's headers (torch/, ATen/, c10/) have for code of the device, where those headers are not
 * found: 16-bit numbers, accessors, traits of types, atomics, macros. What is the host's alone, a Tensor, is a name
 * with nothing behind it. See sim/compile/headers.c. */
#ifndef PAH_SIM_TORCH_H
#define PAH_SIM_TORCH_H

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#define C10_HOST_DEVICE
#define C10_DEVICE
#define C10_HOST
#define C10_ALWAYS_INLINE inline __attribute__((always_inline))
#define C10_NOINLINE __attribute__((noinline))
#define C10_RESTRICT __restrict__
#define C10_UNUSED __attribute__((unused))
#define C10_LIKELY(x) (__builtin_expect(static_cast<bool>(x), 1))
#define C10_UNLIKELY(x) (__builtin_expect(static_cast<bool>(x), 0))
#define C10_WARP_SIZE 32
#define C10_MAX_THREADS_PER_BLOCK(n) (n)
#define C10_LAUNCH_BOUNDS_0
#define C10_LAUNCH_BOUNDS_1(threads) __launch_bounds__(threads)
#define C10_LAUNCH_BOUNDS_2(threads, blocks) __launch_bounds__(threads, blocks)
#define CUDA_KERNEL_ASSERT(x) assert(x)
#define CUDA_KERNEL_LOOP_TYPE(i, n, T)                                                                                 \
  for (T pah_##i = T(blockIdx.x) * blockDim.x + threadIdx.x, i = pah_##i; pah_##i < (n);                               \
       pah_##i += T(blockDim.x) * gridDim.x, i = pah_##i)
#define CUDA_KERNEL_LOOP(i, n)                                                                                         \
  for (long long pah_##i = (long long)blockIdx.x * blockDim.x + threadIdx.x, i##_end = (n); pah_##i < i##_end;         \
       pah_##i += (long long)blockDim.x * gridDim.x)                                                                   \
    for (int i = (int)pah_##i, i##_once = 1; i##_once; i##_once = 0)

/* ---- 16-bit numbers ---- */

/* Arithmetic is that of float, rounded after each operation; with a float the result is one. */
#define PAH_SIM_TORCH_NUMBER(name, cuda, to, from)                                                                     \
  struct __attribute__((aligned(2))) name {                                                                            \
    unsigned short x;                                                                                                  \
    struct from_bits_t {};                                                                                             \
    static constexpr from_bits_t from_bits() {                                                                         \
      return {};                                                                                                       \
    }                                                                                                                  \
    name() = default;                                                                                                  \
    PAH_SIM_INLINE constexpr name(unsigned short bits, from_bits_t) : x(bits) {}                                       \
    PAH_SIM_INLINE name(float v) : x(__builtin_bit_cast(unsigned short, to(v))) {}                                     \
    PAH_SIM_INLINE name(cuda v) : x(__builtin_bit_cast(unsigned short, v)) {}                                          \
    PAH_SIM_INLINE operator float() const {                                                                            \
      return from(__builtin_bit_cast(cuda, x));                                                                        \
    }                                                                                                                  \
    PAH_SIM_INLINE operator cuda() const {                                                                             \
      return __builtin_bit_cast(cuda, x);                                                                              \
    }                                                                                                                  \
  };                                                                                                                   \
  PAH_SIM_TORCH_OPERATOR(name, +)                                                                                      \
  PAH_SIM_TORCH_OPERATOR(name, -)                                                                                      \
  PAH_SIM_TORCH_OPERATOR(name, *)                                                                                      \
  PAH_SIM_TORCH_OPERATOR(name, /)                                                                                      \
  PAH_SIM_TORCH_COMPARISON(name, <)                                                                                    \
  PAH_SIM_TORCH_COMPARISON(name, >)                                                                                    \
  PAH_SIM_TORCH_COMPARISON(name, <=)                                                                                   \
  PAH_SIM_TORCH_COMPARISON(name, >=)                                                                                   \
  PAH_SIM_TORCH_COMPARISON(name, ==)                                                                                   \
  PAH_SIM_TORCH_COMPARISON(name, !=)                                                                                   \
  PAH_SIM_INLINE name operator-(name a) {                                                                              \
    return -static_cast<float>(a);                                                                                     \
  }
/* With an integer the number is the one that decides, with a float or a double that. */
#define PAH_SIM_TORCH_OPERATOR(name, op)                                                                               \
  PAH_SIM_INLINE name operator op(name a, name b) {                                                                    \
    return static_cast<float>(a) op static_cast<float>(b);                                                             \
  }                                                                                                                    \
  template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>>                                           \
  PAH_SIM_INLINE std::conditional_t<std::is_integral<T>::value, name, T> operator op(name a, T b) {                    \
    return static_cast<float>(a) op static_cast<std::conditional_t<std::is_integral<T>::value, float, T>>(b);          \
  }                                                                                                                    \
  template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>>                                           \
  PAH_SIM_INLINE std::conditional_t<std::is_integral<T>::value, name, T> operator op(T a, name b) {                    \
    return static_cast<std::conditional_t<std::is_integral<T>::value, float, T>>(a) op static_cast<float>(b);          \
  }                                                                                                                    \
  PAH_SIM_INLINE name &operator op##=(name &a, name b) {                                                               \
    return a = a op b;                                                                                                 \
  }                                                                                                                    \
  PAH_SIM_INLINE float &operator op##=(float &a, name b) {                                                             \
    return a op## = static_cast<float>(b);                                                                             \
  }
#define PAH_SIM_TORCH_COMPARISON(name, op)                                                                             \
  PAH_SIM_INLINE bool operator op(name a, name b) {                                                                    \
    return static_cast<float>(a) op static_cast<float>(b);                                                             \
  }                                                                                                                    \
  template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>>                                           \
  PAH_SIM_INLINE bool operator op(name a, T b) {                                                                       \
    return static_cast<float>(a) op b;                                                                                 \
  }                                                                                                                    \
  template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>>                                           \
  PAH_SIM_INLINE bool operator op(T a, name b) {                                                                       \
    return a op static_cast<float>(b);                                                                                 \
  }

namespace c10 {
PAH_SIM_TORCH_NUMBER(Half, __half, __float2half, __half2float)
PAH_SIM_TORCH_NUMBER(BFloat16, __nv_bfloat16, __float2bfloat16, __bfloat162float)
#define PAH_SIM_TORCH_NUMBER8(name, cuda)                                                                              \
  struct name {                                                                                                        \
    unsigned char x;                                                                                                   \
    name() = default;                                                                                                  \
    PAH_SIM_INLINE name(float v) : x(cuda(v).__x) {}                                                                   \
    PAH_SIM_INLINE operator float() const {                                                                            \
      return static_cast<float>(__builtin_bit_cast(cuda, x));                                                          \
    }                                                                                                                  \
  };
PAH_SIM_TORCH_NUMBER8(Float8_e4m3fn, __nv_fp8_e4m3)
PAH_SIM_TORCH_NUMBER8(Float8_e5m2, __nv_fp8_e5m2)
#undef PAH_SIM_TORCH_NUMBER8
struct Float8_e4m3fnuz; /* AMD's */
struct Float8_e5m2fnuz;
enum class ScalarType : signed char {
  Byte,
  Char,
  Short,
  Int,
  Long,
  Half,
  Float,
  Double,
  ComplexHalf,
  ComplexFloat,
  ComplexDouble,
  Bool,
  QInt8,
  QUInt8,
  QInt32,
  BFloat16
};
constexpr ScalarType kByte = ScalarType::Byte, kChar = ScalarType::Char, kShort = ScalarType::Short,
                     kInt = ScalarType::Int, kLong = ScalarType::Long, kHalf = ScalarType::Half,
                     kFloat = ScalarType::Float, kDouble = ScalarType::Double, kBool = ScalarType::Bool,
                     kBFloat16 = ScalarType::BFloat16;
} // namespace c10
#undef PAH_SIM_TORCH_NUMBER
#undef PAH_SIM_TORCH_OPERATOR
#undef PAH_SIM_TORCH_COMPARISON

namespace std {
#define PAH_SIM_TORCH_LIMITS(T, smallest, largest, epsilon_, infinity_, nan_)                                          \
  template <> class numeric_limits<T> : public numeric_limits<float> {                                                 \
  public:                                                                                                              \
    static constexpr T min() {                                                                                         \
      return T(smallest, T::from_bits());                                                                              \
    }                                                                                                                  \
    static constexpr T lowest() {                                                                                      \
      return T(largest | 0x8000, T::from_bits());                                                                      \
    }                                                                                                                  \
    static constexpr T max() {                                                                                         \
      return T(largest, T::from_bits());                                                                               \
    }                                                                                                                  \
    static constexpr T epsilon() {                                                                                     \
      return T(epsilon_, T::from_bits());                                                                              \
    }                                                                                                                  \
    static constexpr T infinity() {                                                                                    \
      return T(infinity_, T::from_bits());                                                                             \
    }                                                                                                                  \
    static constexpr T quiet_NaN() {                                                                                   \
      return T(nan_, T::from_bits());                                                                                  \
    }                                                                                                                  \
  };
PAH_SIM_TORCH_LIMITS(c10::Half, 0x0400, 0x7bff, 0x1400, 0x7c00, 0x7e00)
PAH_SIM_TORCH_LIMITS(c10::BFloat16, 0x0080, 0x7f7f, 0x3c00, 0x7f80, 0x7fc0)
#undef PAH_SIM_TORCH_LIMITS
} // namespace std

PAH_SIM_POINTEE(c10::Half, PAH_SIM_OF_F16)
PAH_SIM_POINTEE(c10::BFloat16, PAH_SIM_OF_BF16)
PAH_SIM_POINTEE(c10::Float8_e4m3fn, PAH_SIM_OF_E4M3)
PAH_SIM_POINTEE(c10::Float8_e5m2, PAH_SIM_OF_E5M2)

/* ---- Types by other types, and accessors ---- */

namespace at {
using namespace c10;
struct Tensor {};
struct PhiloxCudaState {
  unsigned long long seed_, offset_;
};
namespace native {}

template <class T, bool is_cuda = true> struct AccumulateType {
  typedef std::conditional_t<std::is_integral<T>::value, long long, T> type;
};
template <bool is_cuda> struct AccumulateType<bool, is_cuda> { typedef bool type; };
template <bool is_cuda> struct AccumulateType<Half, is_cuda> { typedef float type; };
template <bool is_cuda> struct AccumulateType<BFloat16, is_cuda> { typedef float type; };
template <bool is_cuda> struct AccumulateType<__half, is_cuda> { typedef float type; };
template <bool is_cuda> struct AccumulateType<__nv_bfloat16, is_cuda> { typedef float type; };
template <class T, bool is_cuda = true> using acc_type = typename AccumulateType<T, is_cuda>::type;
template <class T> struct OpMathType { typedef T type; };
template <> struct OpMathType<Half> { typedef float type; };
template <> struct OpMathType<BFloat16> { typedef float type; };
template <class T> using opmath_type = typename OpMathType<T>::type;

} // namespace at

namespace at {
template <class T> struct numeric_limits : std::numeric_limits<T> {
  typedef std::numeric_limits<T> limits;
  static constexpr T lower_bound() {
    return limits::has_infinity ? -limits::infinity() : limits::lowest();
  }
  static constexpr T upper_bound() {
    return limits::has_infinity ? limits::infinity() : limits::max();
  }
};
template <class T> constexpr T ceil_div(T a, T b) {
  return (a + b - 1) / b;
}

template <class T> struct DefaultPtrTraits { typedef T *PtrType; };
template <class T> struct RestrictPtrTraits { typedef T *__restrict__ PtrType; };

/* The part of a tensor that is left when some indices are given; the base has all but the index, for classes of others.
 */
template <class T, std::size_t N, template <class> class Traits = DefaultPtrTraits, class I = int64_t>
class TensorAccessorBase {
public:
  typedef typename Traits<T>::PtrType PtrType;
  PAH_SIM_INLINE TensorAccessorBase(PtrType data, const I *sizes, const I *strides)
      : data_(data), sizes_(sizes), strides_(strides) {}
  PAH_SIM_INLINE I size(I i) const {
    return sizes_[i];
  }
  PAH_SIM_INLINE I stride(I i) const {
    return strides_[i];
  }
  PAH_SIM_INLINE PtrType data() const {
    return data_;
  }

protected:
  PtrType data_;
  const I *sizes_, *strides_;
};
template <class T, std::size_t N, template <class> class Traits = DefaultPtrTraits, class I = int64_t>
class TensorAccessor : public TensorAccessorBase<T, N, Traits, I> {
public:
  using TensorAccessorBase<T, N, Traits, I>::TensorAccessorBase;
  PAH_SIM_INLINE auto operator[](I i) const -> std::conditional_t<N == 1, T &, TensorAccessor<T, N - 1, Traits, I>> {
    if constexpr (N == 1)
      return this->data_[this->strides_[0] * i];
    else
      return {this->data_ + this->strides_[0] * i, this->sizes_ + 1, this->strides_ + 1};
  }
};
template <class T, template <class> class Traits, class I> class TensorAccessor<T, 0, Traits, I> {};
} // namespace at

namespace at {
/* Passed to a kernel by value: the address, N sizes, N strides in elements. */
template <class T, std::size_t N, template <class> class Traits = DefaultPtrTraits, class I = int64_t>
class GenericPackedTensorAccessorBase {
public:
  typedef typename Traits<T>::PtrType PtrType;
  PAH_SIM_INLINE GenericPackedTensorAccessorBase(PtrType data, const I *sizes, const I *strides) : data_(data) {
    for (std::size_t i = 0; i < N; i++) sizes_[i] = sizes[i], strides_[i] = strides[i];
  }
  PAH_SIM_INLINE I size(I i) const {
    return sizes_[i];
  }
  PAH_SIM_INLINE I stride(I i) const {
    return strides_[i];
  }
  PAH_SIM_INLINE PtrType data() const {
    return data_;
  }

protected:
  PtrType data_;
  I sizes_[N], strides_[N];
};
template <class T, std::size_t N, template <class> class Traits = DefaultPtrTraits, class I = int64_t>
class GenericPackedTensorAccessor : public GenericPackedTensorAccessorBase<T, N, Traits, I> {
public:
  using GenericPackedTensorAccessorBase<T, N, Traits, I>::GenericPackedTensorAccessorBase;
  PAH_SIM_INLINE decltype(auto) operator[](I i) const {
    return TensorAccessor<T, N, Traits, I>(this->data_, this->sizes_, this->strides_)[i];
  }
};
template <class T, std::size_t N, template <class> class Traits = DefaultPtrTraits>
using PackedTensorAccessor32 = GenericPackedTensorAccessor<T, N, Traits, int32_t>;
template <class T, std::size_t N, template <class> class Traits = DefaultPtrTraits>
using PackedTensorAccessor64 = GenericPackedTensorAccessor<T, N, Traits, int64_t>;
template <class T, std::size_t N, template <class> class Traits = DefaultPtrTraits, class I = int64_t>
using PackedTensorAccessor = GenericPackedTensorAccessor<T, N, Traits, I>;

namespace cuda {
namespace detail {
/* A tensor of up to 25 dimensions as a kernel gets it by value, and where its i-th element lies. */
template <class T, class I> struct TensorInfo {
  T *data;
  I sizes[25], strides[25];
  int dims;
};
template <class T, class I, int Dims> struct IndexToOffset {
  PAH_SIM_INLINE static I get(I i, const TensorInfo<T, I> &info) {
    I offset = 0;
    for (int d = info.dims - 1; d > 0; d--, i /= info.sizes[d + 1]) offset += i % info.sizes[d] * info.strides[d];
    return offset + i * info.strides[0];
  }
};
} // namespace detail
namespace philox {
PAH_SIM_INLINE std::tuple<uint64_t, uint64_t> unpack(PhiloxCudaState s) {
  return {s.seed_, s.offset_};
}
} // namespace philox
} // namespace cuda
} // namespace at

namespace torch {
using namespace at;
namespace indexing {}
namespace headeronly {
using namespace at;
template <class T, std::size_t N, template <class> class Traits = DefaultPtrTraits, class I = int64_t>
using HeaderOnlyGenericPackedTensorAccessor = GenericPackedTensorAccessor<T, N, Traits, I>;
} // namespace headeronly
} // namespace torch

/* ---- Functions ---- */

/* Templates, so that a source may have its own. */
template <class T> PAH_SIM_INLINE std::enable_if_t<std::is_same<T, c10::Half>::value, T> atomicAdd(T *p, T v) {
  return atomicAdd(reinterpret_cast<__half *>(p), static_cast<__half>(v));
}
template <class T> PAH_SIM_INLINE std::enable_if_t<std::is_same<T, c10::BFloat16>::value, T> atomicAdd(T *p, T v) {
  return atomicAdd(reinterpret_cast<__nv_bfloat16 *>(p), static_cast<__nv_bfloat16>(v));
}
template <class T> PAH_SIM_INLINE std::enable_if_t<std::is_same<T, int64_t>::value, T> atomicAdd(T *p, T v) {
  return (T)atomicAdd(reinterpret_cast<unsigned long long *>(p), (unsigned long long)v);
}
template <class T, class U> PAH_SIM_INLINE T gpuAtomicAdd(T *p, U v) {
  return atomicAdd(p, static_cast<T>(v));
}
template <class T, class U> PAH_SIM_INLINE void gpuAtomicAddNoReturn(T *p, U v) {
  atomicAdd(p, static_cast<T>(v));
}
template <class T> PAH_SIM_INLINE T WARP_SHFL(T v, int lane, int width = 32, unsigned mask = 0xffffffffu) {
  return __shfl_sync(mask, v, lane, width);
}
template <class T> PAH_SIM_INLINE T WARP_SHFL_UP(T v, unsigned by, int width = 32, unsigned mask = 0xffffffffu) {
  return __shfl_up_sync(mask, v, by, width);
}
template <class T> PAH_SIM_INLINE T WARP_SHFL_DOWN(T v, unsigned by, int width = 32, unsigned mask = 0xffffffffu) {
  return __shfl_down_sync(mask, v, by, width);
}
template <class T> PAH_SIM_INLINE T WARP_SHFL_XOR(T v, int by, int width = 32, unsigned mask = 0xffffffffu) {
  return __shfl_xor_sync(mask, v, by, width);
}
PAH_SIM_INLINE unsigned WARP_BALLOT(int v, unsigned mask = 0xffffffffu) {
  return __ballot_sync(mask, v);
}

#endif
