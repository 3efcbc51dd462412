/* no_curand.h - stands for curand_kernel.h where include= does not name a folder with the toolkit's: the states and
 * functions of cuRAND on the device, declared so that a source with them compiles. A call is the finding "unsupported".
 * See sim/compile/headers.c. */
#ifndef PAH_SIM_NO_CURAND_H
#define PAH_SIM_NO_CURAND_H

struct curandStateXORWOW {};
struct curandStatePhilox4_32_10 {};
struct curandStateMRG32k3a {};
struct curandStateMtgp32 {};
struct curandStateSobol32 {};
struct curandStateScrambledSobol32 {};
struct curandStateSobol64 {};
struct curandStateScrambledSobol64 {};
typedef curandStateXORWOW curandStateXORWOW_t, curandState, curandState_t;
typedef curandStatePhilox4_32_10 curandStatePhilox4_32_10_t;
typedef curandStateMRG32k3a curandStateMRG32k3a_t;
typedef curandStateMtgp32 curandStateMtgp32_t;
typedef curandStateSobol32 curandStateSobol32_t;
typedef curandStateScrambledSobol32 curandStateScrambledSobol32_t;
typedef curandStateSobol64 curandStateSobol64_t;
typedef curandStateScrambledSobol64 curandStateScrambledSobol64_t;

#define PAH_SIM_RANDOM(name, T)                                                                                        \
  template <class... A> PAH_SIM_INLINE T name(A...) {                                                                  \
    pah_sim_unsupported(#name ", cuRAND without the toolkit's folder in include=,");                                   \
  }
#define PAH_SIM_RANDOM_OF(name, number)                                                                                \
  PAH_SIM_RANDOM(curand_##name, number)                                                                                \
  PAH_SIM_RANDOM(curand_##name##2, number##2)                                                                          \
  PAH_SIM_RANDOM(curand_##name##4, number##4)                                                                          \
  PAH_SIM_RANDOM(curand_##name##_double, double)                                                                       \
  PAH_SIM_RANDOM(curand_##name##2_double, double2)                                                                     \
  PAH_SIM_RANDOM(curand_##name##4_double, double4)
PAH_SIM_RANDOM(curand_init, void)
PAH_SIM_RANDOM(skipahead, void)
PAH_SIM_RANDOM(skipahead_sequence, void)
PAH_SIM_RANDOM(curand, unsigned)
PAH_SIM_RANDOM(curand4, uint4)
PAH_SIM_RANDOM(curand_poisson, unsigned)
PAH_SIM_RANDOM(curand_poisson4, uint4)
PAH_SIM_RANDOM(curand_discrete, unsigned)
PAH_SIM_RANDOM_OF(uniform, float)
PAH_SIM_RANDOM_OF(normal, float)
PAH_SIM_RANDOM_OF(log_normal, float)
#undef PAH_SIM_RANDOM
#undef PAH_SIM_RANDOM_OF

#endif
