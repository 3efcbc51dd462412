/* arguments.c - tensors against the typed pointers of a kernel: a float * is given f32, a __half * f16. Pointers to
 * unsigned integers, bytes, void and machine vectors take tensors of any dtype, since kernels move bits by them, and a
 * tensor of u8 is taken by any pointer. Read next: device.c, sim/include/pah_sim/entry.h. */
#include "arguments.h"

#include "error.h"
#include "sim/abi.h"

static const struct {
  int dtype;
  const char *type;
} pointees[] = {
    [PAH_SIM_OF_ANY] = {PAH_NONE, ""},
    [PAH_SIM_OF_F32] = {PAH_F32, "float"},
    [PAH_SIM_OF_F64] = {PAH_F64, "double"},
    [PAH_SIM_OF_F16] = {PAH_F16, "half"},
    [PAH_SIM_OF_BF16] = {PAH_BF16, "bfloat16"},
    [PAH_SIM_OF_E4M3] = {PAH_FP8_E4M3, "fp8 (e4m3)"},
    [PAH_SIM_OF_E5M2] = {PAH_FP8_E5M2, "fp8 (e5m2)"},
    [PAH_SIM_OF_I32] = {PAH_I32, "int"},
    [PAH_SIM_OF_I64] = {PAH_I64, "long long"},
};
enum { POINTEES = sizeof pointees / sizeof *pointees };

int sim_points_to(int pointee) {
  return pointee < POINTEES ? pointees[pointee].dtype : PAH_NONE;
}

static const char *type_name(int dtype) {
  for (int i = 1; i < POINTEES; i++)
    if (pointees[i].dtype == dtype) return pointees[i].type;
  return "";
}

int sim_check_arguments(const struct pah_module_kernel *k, const struct pah_launch *l) {
  for (int i = 0; l->tensors && i < k->signature.count; i++) {
    const struct pah_tensor *t = l->tensors[i];
    const int wants = k->signature.points_to[i];
    if (!t || t->dtype == PAH_NONE || t->dtype == PAH_U8 || wants == PAH_NONE || t->dtype == wants) continue;
    return pah_fail(PAH_EINVAL, "%s: argument %d: is a tensor of %s, must be of %s for a pointer to %s", k->name, i + 1,
                    pah_dtype_name(t->dtype), pah_dtype_name(wants), type_name(wants));
  }
  return PAH_OK;
}
