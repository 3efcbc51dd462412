/* calls.h - the functions that CUDA gives every PTX module: vprintf, assert, malloc, free, by their names
 * and parameters in PTX. A PTX function g is f_g in C++. */
#ifndef PAH_SIM_PTX_CALLS_H
#define PAH_SIM_PTX_CALLS_H

namespace pah_ptx {

template <class V, class P> PAH_PTX_I V parameter(const P &p) {
  V v;
  __builtin_memcpy(&v, &p, sizeof v);
  return v;
}
template <class V> PAH_SIM_UNSEEN inline V next_argument(const uint8_t *&at) {
  at = (const uint8_t *)(((uintptr_t)at + sizeof(V) - 1) & ~(uintptr_t)(sizeof(V) - 1));
  V v;
  __builtin_memcpy(&v, at, sizeof v);
  at += sizeof v;
  return v;
}
/* One conversion of the format, "%5.2f", with the argument that follows in the buffer. */
PAH_SIM_UNSEEN inline void print_one(const char *conversion, int length, const uint8_t *&at) {
  const char kind = conversion[length - 1];
  const bool wide = length > 2 && (conversion[length - 2] == 'l' || conversion[length - 2] == 'z');
  if (kind == '%')
    pah_sim_printf("%%");
  else if (kind == 's' || kind == 'p')
    pah_sim_printf(conversion, next_argument<const void *>(at));
  else if (std::strchr("eEfFgGaA", kind))
    pah_sim_printf(conversion, next_argument<double>(at));
  else if (wide)
    pah_sim_printf(conversion, next_argument<long long>(at));
  else
    pah_sim_printf(conversion, next_argument<int>(at));
}
PAH_SIM_UNSEEN inline int print_all(const char *format, const uint8_t *at) {
  int count = 0;
  while (*format) {
    char piece[256];
    const size_t plain = std::strcspn(format, "%"), take = plain < 255 ? plain : 255;
    if (take) {
      __builtin_memcpy(piece, format, take);
      piece[take] = 0;
      pah_sim_printf("%s", piece);
      format += take;
      continue;
    }
    const size_t length = 1 + std::strspn(format + 1, "-+ #0123456789.hlzjt") + 1;
    if (length > 64 || !format[length - 1]) break;
    __builtin_memcpy(piece, format, length);
    piece[length] = 0;
    print_one(piece, (int)length, at);
    format += length;
    count++;
  }
  return count;
}

} // namespace pah_ptx

template <class A, class B>
PAH_SIM_UNSEEN inline pah_ptx::t_param<4, 4> f_vprintf(const A &format, const B &arguments) {
  pah_ptx::t_param<4, 4> result;
  const int count =
      pah_ptx::print_all(pah_ptx::parameter<const char *>(format), pah_ptx::parameter<const uint8_t *>(arguments));
  __builtin_memcpy(&result, &count, sizeof count);
  return result;
}
template <class A> PAH_SIM_UNSEEN inline pah_ptx::t_param<8, 8> f_malloc(const A &bytes) {
  pah_ptx::t_param<8, 8> result;
  void *p = pah_sim_malloc(pah_ptx::parameter<uint64_t>(bytes));
  __builtin_memcpy(&result, &p, sizeof p);
  return result;
}
template <class A> PAH_SIM_UNSEEN inline void f_free(const A &p) {
  pah_sim_free(pah_ptx::parameter<void *>(p));
}
template <class A, class B, class C, class D, class E>
PAH_PTX_I void f___assertfail(const A &what, const B &file, const C &line, const D &, const E &) {
  pah_sim_assert(pah_ptx::parameter<const char *>(what), pah_ptx::parameter<const char *>(file),
                 pah_ptx::parameter<int>(line));
}

#endif
