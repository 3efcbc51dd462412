/* special_registers.h - what sim has for the registers that PTX reads a thread's place and the time from. A cluster is
 * one thread block. Included once, by emit.c. */
#ifndef PAH_PTX_SPECIAL_REGISTERS_H
#define PAH_PTX_SPECIAL_REGISTERS_H

#include <stddef.h>

struct special_register {
  const char *name, *code;
};

#define THREE(name, code)                                                                                              \
  {name ".x", code "().x"}, {name ".y", code "().y"}, {                                                                \
    name ".z", code "().z"                                                                                             \
  }
#define ALIKE(name, x)                                                                                                 \
  {name ".x", x}, {name ".y", x}, {                                                                                    \
    name ".z", x                                                                                                       \
  }

static const struct special_register special_registers[] = {
    THREE("%tid", "pah_sim_thread_idx"),
    THREE("%ntid", "pah_sim_block_dim"),
    THREE("%ctaid", "pah_sim_block_idx"),
    THREE("%nctaid", "pah_sim_grid_dim"),
    THREE("%clusterid", "pah_sim_block_idx"),
    THREE("%nclusterid", "pah_sim_grid_dim"),
    ALIKE("%cluster_ctaid", "0"),
    ALIKE("%cluster_nctaid", "1"),
    {"%cluster_ctarank", "0"},
    {"%cluster_nctarank", "1"},
    {"%is_explicit_cluster", "false"},
    {"%laneid", "pah_sim_lane()"},
    {"%warpid", "i_warp()"},
    {"%nwarpid", "32"},
    {"%smid", "pah_sim_block_idx().x"},
    {"%nsmid", "1"},
    {"%gridid", "0"},
    {"%lanemask_eq", "(1u << pah_sim_lane())"},
    {"%lanemask_lt", "((1u << pah_sim_lane()) - 1)"},
    {"%lanemask_le", "((2u << pah_sim_lane()) - 1)"},
    {"%lanemask_gt", "(0u - (2u << pah_sim_lane()))"},
    {"%lanemask_ge", "(0u - (1u << pah_sim_lane()))"},
    {"%clock", "(uint32_t)pah_sim_clock()"},
    {"%clock_hi", "(uint32_t)(pah_sim_clock() >> 32)"},
    {"%clock64", "pah_sim_clock()"},
    {"%globaltimer", "pah_sim_clock()"},
    {"%globaltimer_lo", "(uint32_t)pah_sim_clock()"},
    {"%globaltimer_hi", "(uint32_t)(pah_sim_clock() >> 32)"},
    {"%dynamic_smem_size", "pah_sim_dynamic_shared_bytes()"},
    {"WARP_SZ", "32"},
    {NULL, NULL},
};

#undef THREE
#undef ALIKE
#endif
