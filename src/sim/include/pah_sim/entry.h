/* entry.h - how the program finds and starts a kernel: what the lines that sim/compile/entries.c puts behind a
 * source are made of. An entry unpacks arguments as a driver's launch does; a signature says what the parameters are
 * (struct pah_signature of pah_module.h). */
#ifndef PAH_SIM_ENTRY_H
#define PAH_SIM_ENTRY_H

/* A parameter of PTX says its kind itself. */
template <class T> struct pah_sim_ptx_kind : std::integral_constant<int, -1> {};
template <int Bytes, int Align, int Kind>
struct pah_sim_ptx_kind<pah_ptx::t_param<Bytes, Align, Kind>> : std::integral_constant<int, Kind> {};

template <class T> constexpr int pah_sim_parameter() {
  typedef std::remove_cv_t<T> U;
  int kind = pah_sim_ptx_kind<U>::value >= 0    ? pah_sim_ptx_kind<U>::value
             : std::is_pointer<U>::value        ? 1
             : std::is_floating_point<U>::value ? 4
             : std::is_enum<U>::value || (std::is_integral<U>::value && std::is_unsigned<U>::value) ? 3
             : std::is_integral<U>::value                                                           ? 2
                                                                                                    : 5;
  return kind << 24 | (int)sizeof(U);
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
