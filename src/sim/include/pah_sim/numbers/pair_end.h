/* pair_end.h - forgets the parameters of pah_sim/numbers/pair.h, which comes again with others: see cuda_fp16.h. */

#undef PAH_T
#undef PAH_T2
#undef PAH_RAW
#undef PAH_RAW2
#undef PAH_OTHER
#undef PAH_N
#undef PAH_N2
#undef PAH_E
#undef PAH_M
#undef PAH_NO_CONVERSIONS
#undef PAH_NO_OPERATORS
