/* entry.h - how the program finds and starts a kernel: what the lines that sim/compile/entries.c puts behind a
 * source are made of. An entry unpacks arguments as a driver's launch does; a signature says what the parameters are
 * (struct pah_signature of pah_module.h). */
#ifndef PAH_SIM_ENTRY_H
#define PAH_SIM_ENTRY_H

/* A parameter of PTX says its kind itself. */
template <class T> struct pah_sim_ptx_kind : std::integral_constant<int, -1> {};
template <int Bytes, int Align, int Kind>
struct pah_sim_ptx_kind<pah_ptx::t_param<Bytes, Align, Kind>> : std::integral_constant<int, Kind> {};

/* What a tensor must hold that is passed to a pointer to T: enum of ../abi.h. Unsigned integers, bytes and vectors of
 * them are used for bits of anything. */
template <class T> struct pah_sim_pointee : std::integral_constant<int, PAH_SIM_OF_ANY> {};
#define PAH_SIM_POINTEE(T, what)                                                                                       \
  template <> struct pah_sim_pointee<T> : std::integral_constant<int, what> {};
struct __half;
struct __half2;
struct __nv_bfloat16;
struct __nv_bfloat162;
struct __nv_fp8_e4m3;
struct __nv_fp8_e5m2;
PAH_SIM_POINTEE(float, PAH_SIM_OF_F32)
PAH_SIM_POINTEE(double, PAH_SIM_OF_F64)
PAH_SIM_POINTEE(__half, PAH_SIM_OF_F16)
PAH_SIM_POINTEE(__half2, PAH_SIM_OF_F16)
PAH_SIM_POINTEE(__nv_bfloat16, PAH_SIM_OF_BF16)
PAH_SIM_POINTEE(__nv_bfloat162, PAH_SIM_OF_BF16)
PAH_SIM_POINTEE(__nv_fp8_e4m3, PAH_SIM_OF_E4M3)
PAH_SIM_POINTEE(__nv_fp8_e5m2, PAH_SIM_OF_E5M2)
PAH_SIM_POINTEE(int, PAH_SIM_OF_I32)
PAH_SIM_POINTEE(long, PAH_SIM_OF_I64)
PAH_SIM_POINTEE(long long, PAH_SIM_OF_I64)

/* Kind, pointee and bytes of a parameter in one number. */
template <class T> constexpr int pah_sim_parameter() {
  typedef std::remove_cv_t<T> U;
  int kind = pah_sim_ptx_kind<U>::value >= 0    ? pah_sim_ptx_kind<U>::value
             : std::is_pointer<U>::value        ? 1
             : std::is_floating_point<U>::value ? 4
             : std::is_enum<U>::value || (std::is_integral<U>::value && std::is_unsigned<U>::value) ? 3
             : std::is_integral<U>::value                                                           ? 2
                                                                                                    : 5;
  return kind << 24 | pah_sim_pointee<std::remove_cv_t<std::remove_pointer_t<U>>>::value * (kind == 1) << 16 |
         (int)sizeof(U);
}

template <class... A> struct pah_sim_kernel {
  struct signature {
    int values[1 + sizeof...(A)];
  };
  static constexpr signature describe() {
    return {{(int)sizeof...(A), pah_sim_parameter<A>()...}};
  }
  template <std::size_t... I>
  PAH_SIM_UNSEEN static void call(void (*kernel)(A...), void **args, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A> *>(args[I])...);
  }
};
template <class... A> pah_sim_kernel<A...> pah_sim_kernel_of(void (*)(A...));
template <class... A> PAH_SIM_UNSEEN inline void pah_sim_call(void (*kernel)(A...), void **args) {
  pah_sim_kernel<A...>::call(kernel, args, std::index_sequence_for<A...>());
}

#endif
