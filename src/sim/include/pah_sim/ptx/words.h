/* words.h - the words of PTX instructions that mean something here, in one list for both sides:
 * sim/translate/table.c, which reads instructions, and pah_sim/ptx.h, the C++ that they become. */
#ifndef PAH_SIM_PTX_WORDS_H
#define PAH_SIM_PTX_WORDS_H

/* clang-format off */

/* Any number of them at an instruction: bits of its template argument. */
#define PAH_PTX_FLAGS(X) \
  X(rn) X(rz) X(rm) X(rp) X(rna) X(rni) X(rzi) X(rmi) X(rpi) X(ftz) X(sat) X(satfinite) X(relu) X(NaN) X(lo) X(hi) \
  X(wide) X(noinc) X(trans) X(xorsign) X(cta) X(nc)

/* One out of several. */
#define PAH_PTX_CHOICES(X) \
  X(eq) X(ne) X(lt) X(le) X(gt) X(ge) X(ls) X(hs) X(equ) X(neu) X(ltu) X(leu) X(gtu) X(geu) X(num) X(nan) X(and) \
  X(or) X(xor) X(add) X(min) X(max) X(inc) X(dec) X(exch) X(cas) X(volatile) X(relaxed) X(acquire) X(release) \
  X(acq_rel) X(finite) X(infinite) X(number) X(notanumber) X(normal) X(subnormal) X(f4e) X(b4e) X(rc8) X(ecl) X(ecr) \
  X(rc16) X(wrap) X(clamp) X(global) X(shared) X(local) X(popc) X(x1) X(x2) X(x4)

#define PAH_PTX_TYPES(X) \
  X(u8) X(u16) X(u32) X(u64) X(s8) X(s16) X(s32) X(s64) X(b8) X(b16) X(b32) X(b64) X(f16) X(bf16) X(f32) X(f64) \
  X(b128) X(f16x2) X(bf16x2) X(u16x2) X(s16x2) X(pred) X(tf32) X(e4m3x2) X(e5m2x2)

/* clang-format on */

#endif
