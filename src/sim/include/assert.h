/* assert.h - for sim, where a failed assert is a finding: each inclusion defines it anew, as the C standard has it. */
#undef assert
#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
#define assert(condition) ((condition) ? (void)0 : pah_sim_assert(#condition, __FILE__, __LINE__))
#endif
