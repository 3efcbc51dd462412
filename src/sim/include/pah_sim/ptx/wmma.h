/* wmma.h - wmma of PTX: fragments of matrices, which lane has what being open there. Here they are the pieces that
 * mma.sync takes, 16 rows of one operand and 8 columns of the other; an 8 x 32 result is computed as the transpose of a
 * 32 x 8 one. Registers of f16 that there are too many of hold the same again. */
#ifndef PAH_SIM_PTX_WMMA_H
#define PAH_SIM_PTX_WMMA_H

namespace pah_ptx {

struct t_s4 : type<uint32_t, int32_t, OTHER> {};
struct t_u4 : type<uint32_t, uint32_t, OTHER> {};
struct t_b1 : type<uint32_t, uint32_t, OTHER> {};

template <class T, int N> struct i_registers {
  std::conditional_t<std::is_same<T, t_f64>::value, uint64_t, uint32_t> r[N];
};
template <class T>
constexpr bool IS_ONE = std::is_same<T, t_s4>::value || std::is_same<T, t_u4>::value || std::is_same<T, t_b1>::value ||
                        std::is_same<T, t_f64>::value;
/* Elements in a register. */
template <class T>
constexpr int PER = std::is_same<T, t_b1>::value                                   ? 32
                    : std::is_same<T, t_s4>::value || std::is_same<T, t_u4>::value ? 8
                    : sizeof(bits_of<T>) == 1                                      ? 4
                    : sizeof(bits_of<T>) == 2                                      ? 2
                                                                                   : 1;

/* The operand that stands where A does in mma.sync, 16 rows a piece, is A; of a result of 8 rows B. */
template <class T, int M, int N, int K, char Which> struct wmma_operand {
  static constexpr bool is_transposed = M == 8 && N == 32, tall = (Which == 'a') != is_transposed;
  static constexpr int outer = Which == 'a' ? M : N, high = IS_ONE<T> ? 8 : tall ? 16 : 8;
  static constexpr int registers = IS_ONE<T> ? 1 : K * high / 32 / PER<T>; /* of a piece */
  static constexpr int pieces = outer / high, count = pieces * registers;
  /* Where the first element of register i is: along k, and along the other side. */
  PAH_PTX_I static void place(int i, uint32_t &k, uint32_t &other) {
    const uint32_t lane = pah_sim_lane(), g = lane / 4, t = lane % 4, r = (uint32_t)(i % registers);
    k = (tall && !IS_ONE<T> ? r / 2 : r) * 4 * PER<T> + t * PER<T>;
    other = (uint32_t)(i / registers * high) + g + (tall && !IS_ONE<T> ? r % 2 * 8 : 0);
  }
};

template <class T, int M, int N, int K, char Which, int Count, bool ByRows>
PAH_PTX_I i_registers<T, Count> i_wmma_load(const void *p, uint32_t stride) {
  typedef wmma_operand<T, M, N, K, Which> O;
  typedef std::conditional_t<std::is_same<T, t_f64>::value, uint64_t, uint32_t> R;
  typedef R __attribute__((may_alias)) word;
  typedef bits_of<T> __attribute__((may_alias)) element;
  constexpr uint32_t bits = 8 * sizeof(R) / PER<T>;
  i_registers<T, Count> f;
#pragma GCC unroll 16
  for (int i = 0; i < Count; i++) {
    if (i >= O::count) {
      f.r[i] = f.r[i - O::count];
      continue;
    }
    uint32_t k, other;
    O::place(i, k, other);
    if ((Which == 'a') == ByRows) { /* neighbours along k are neighbours in memory */
      f.r[i] = *(const word *)((const char *)p + ((uint64_t)other * stride + k) * bits / 8);
      continue;
    }
    R r = 0;
#pragma GCC unroll 4
    for (uint32_t e = 0; e < (bits < 8 ? 1 : PER<T>); e++)
      r |= (R)((const element *)p)[(uint64_t)(k + e) * stride + other] << e * (bits % 64);
    f.r[i] = r;
  }
  return f;
}

/* ---- Sums: of f16 two share a register ---- */

template <class T, int M, int N> struct wmma_sums {
  static constexpr bool is_transposed = M == 8 && N == 32;
  static constexpr int count = M * N / 32, across = is_transposed ? 1 : N / 8;
  PAH_PTX_I static uint64_t place(int i, uint32_t stride, bool by_rows) {
    const uint32_t lane = pah_sim_lane(), g = lane / 4, t = lane % 4;
    uint32_t row = (uint32_t)(i / 4 / across * 16) + g + (uint32_t)(i % 4 / 2 * 8);
    uint32_t column = (uint32_t)(i / 4 % across * 8) + t * 2 + (uint32_t)(i % 2);
    if (is_transposed) {
      const uint32_t other = row;
      row = column, column = other;
    }
    return by_rows ? (uint64_t)row * stride + column : (uint64_t)column * stride + row;
  }
};

template <class T, int M, int N, int K, char Which, int Count, bool ByRows>
PAH_PTX_I i_registers<T, Count> i_wmma_load_sums(const void *p, uint32_t stride) {
  typedef wmma_sums<T, M, N> S;
  typedef bits_of<T> __attribute__((may_alias)) element;
  i_registers<T, Count> f = {};
#pragma GCC unroll 16
  for (int i = 0; i < S::count; i++) {
    const element x = ((const element *)p)[S::place(i, stride, ByRows)];
    f.r[sizeof x == 2 ? i / 2 : i] |= (decltype(f.r[0] + 0))x << (sizeof x == 2 ? 16 * (i % 2) : 0);
  }
  return f;
}
template <class T, int M, int N, int K, bool ByRows, int Count>
PAH_PTX_I void i_wmma_store(void *p, uint32_t stride, i_registers<T, Count> f) {
  typedef wmma_sums<T, M, N> S;
  typedef bits_of<T> __attribute__((may_alias)) element;
#pragma GCC unroll 16
  for (int i = 0; i < S::count; i++)
    ((element *)p)[S::place(i, stride, ByRows)] =
        (bits_of<T>)(sizeof(element) == 2 ? f.r[i / 2] >> 16 * (i % 2) : f.r[i]);
}

/* ---- Products ---- */

/* Four sums of a piece, and their way back. */
template <class C, bool Wide, int Count> PAH_PTX_I pah_sim_v4 wmma_take(const i_registers<C, Count> &f, int piece) {
  pah_sim_v4 v = {};
  if constexpr (std::is_same<C, t_f16>::value) {
    for (int i = 0; i < (Wide ? 4 : 2); i++) {
      const uint32_t word = (uint32_t)f.r[piece * 2 + (Wide ? i / 2 : i)];
      v.r[i] = Wide ? i_cvt<t_f32, t_f16, 0>((uint16_t)(word >> 16 * (i % 2))) : word;
    }
  } else {
    for (int i = 0; i < 4; i++) v.r[i] = (uint32_t)f.r[piece * 4 + i];
  }
  return v;
}
template <class D, bool Wide, int Count>
PAH_PTX_I void wmma_give(i_registers<D, Count> &f, int piece, const pah_sim_v4 &v) {
  if constexpr (std::is_same<D, t_f16>::value) {
    for (int i = 0; i < 2; i++)
      f.r[piece * 2 + i] = Wide ? (uint32_t)i_cvt<t_f16, t_f32, m_rn>(v.r[2 * i]) |
                                      (uint32_t)i_cvt<t_f16, t_f32, m_rn>(v.r[2 * i + 1]) << 16
                                : v.r[i];
  } else {
    for (int i = 0; i < 4; i++) f.r[piece * 4 + i] = v.r[i];
  }
}

/* One m16n8 product of registers in fours and twos. */
template <class T, int K, bool Small, int Flags>
PAH_PTX_I pah_sim_v4 wmma_piece(const pah_sim_v4 &a, const pah_sim_v2 &b, const pah_sim_v4 &c) {
  if constexpr (std::is_same<T, t_u8>::value) {
    const pah_sim_v8 v = pah_sim_mma_form(
        16 + 32 * K, PAH_SIM_TYPE_U8 * 17 + 256 * PAH_SIM_TYPE_S32 + 4096 * PAH_SIM_TYPE_S32, Flags,
        pah_sim_registers{{a.r[0], a.r[1], 0, 0}, {b.r[0], 0}, {c.r[0], c.r[1], c.r[2], c.r[3], 0, 0, 0, 0}});
    return pah_sim_v4{{v.r[0], v.r[1], v.r[2], v.r[3]}};
  } else {
    constexpr int kind = std::is_same<T, t_bf16>::value   ? (int)PAH_SIM_MMA_BF16
                         : std::is_same<T, t_tf32>::value ? (int)PAH_SIM_MMA_TF32
                         : std::is_same<T, t_s8>::value
                             ? (int)(Flags ? PAH_SIM_MMA_S8_SATFINITE : PAH_SIM_MMA_S8) | (int)PAH_SIM_MMA_HALF
                         : Small ? (int)PAH_SIM_MMA_F16_F16
                                 : (int)PAH_SIM_MMA_F16;
    return pah_sim_mma(kind, a, b, c);
  }
}

/* The 8 x 8 sums of one register of each operand. */
template <class T, int K, int Flags>
PAH_PTX_I i_registers<t_s32, 2> wmma_small(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  constexpr int type = std::is_same<T, t_b1>::value   ? (int)PAH_SIM_TYPE_B1
                       : std::is_same<T, t_s4>::value ? (int)PAH_SIM_TYPE_S4
                                                      : (int)PAH_SIM_TYPE_U4;
  const pah_sim_v8 v = pah_sim_mma_form(8 + 32 * K, type * 17 + 256 * PAH_SIM_TYPE_S32 + 4096 * PAH_SIM_TYPE_S32, Flags,
                                        pah_sim_registers{{a, 0, 0, 0}, {b, 0}, {c, d, 0, 0, 0, 0, 0, 0}});
  return i_registers<t_s32, 2>{{v.r[0], v.r[1]}};
}

template <class T, int M, int N, int K, class D, class C, int Flags, int Mode, int NA, int NB, int NC>
PAH_PTX_I auto i_wmma(const i_registers<T, NA> &a, const i_registers<T, NB> &b, const i_registers<C, NC> &c) {
  if constexpr (std::is_same<T, t_f64>::value) {
    const pah_sim_d4 v = pah_sim_mma_f64(8 + 32 * K, Mode, pah_sim_doubles{{a.r[0]}, {b.r[0]}, {c.r[0], c.r[1]}});
    return i_registers<t_f64, 2>{{v.r[0], v.r[1]}};
  } else if constexpr (IS_ONE<T>) {
    return wmma_small<T, K, Flags>(a.r[0], b.r[0], c.r[0], c.r[1]);
  } else {
    typedef wmma_operand<T, M, N, K, 'a'> A;
    typedef wmma_operand<T, M, N, K, 'b'> B;
    constexpr bool t = A::is_transposed, small = std::is_same<C, t_f16>::value && std::is_same<D, t_f16>::value;
    constexpr int down = (t ? N : M) / 16, across = (t ? M : N) / 8, high = t ? B::registers : A::registers,
                  low = t ? A::registers : B::registers;
    i_registers<D, (std::is_same<D, t_f16>::value ? 4 : 8)> d = {};
#pragma GCC unroll 4
    for (int i = 0; i < down * across; i++) {
      pah_sim_v4 left = {};
      pah_sim_v2 right = {};
      for (int r = 0; r < high; r++) left.r[r] = t ? b.r[i / across * high + r] : a.r[i / across * high + r];
      for (int r = 0; r < low; r++) right.r[r] = t ? a.r[i % across * low + r] : b.r[i % across * low + r];
      wmma_give<D, !small>(d, i, wmma_piece<T, K, small, Flags>(left, right, wmma_take<C, !small>(c, i)));
    }
    return d;
  }
}

} // namespace pah_ptx
#endif
