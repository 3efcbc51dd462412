/* ptx/wgmma_table.h - the assembly of wgmma for every N: included once, by wgmma.h, inside namespace ptx.
 * PAH_L<r> lists the registers of r sums in the text, PAH_O<r> the operands d[0] to d[r - 1]; the operands after them
 * have numbers that PAH_WGMMA_SIZES spells out. */
#define PAH_Q(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define PAH_L4 "%0, %1, %2, %3"
#define PAH_O4 PAH_Q(0)
#define PAH_L8 PAH_L4 ", %4, %5, %6, %7"
#define PAH_O8 PAH_O4, PAH_Q(4)
#define PAH_L12 PAH_L8 ", %8, %9, %10, %11"
#define PAH_O12 PAH_O8, PAH_Q(8)
#define PAH_L16 PAH_L12 ", %12, %13, %14, %15"
#define PAH_O16 PAH_O12, PAH_Q(12)
#define PAH_L20 PAH_L16 ", %16, %17, %18, %19"
#define PAH_O20 PAH_O16, PAH_Q(16)
#define PAH_L24 PAH_L20 ", %20, %21, %22, %23"
#define PAH_O24 PAH_O20, PAH_Q(20)
#define PAH_L28 PAH_L24 ", %24, %25, %26, %27"
#define PAH_O28 PAH_O24, PAH_Q(24)
#define PAH_L32 PAH_L28 ", %28, %29, %30, %31"
#define PAH_O32 PAH_O28, PAH_Q(28)
#define PAH_L36 PAH_L32 ", %32, %33, %34, %35"
#define PAH_O36 PAH_O32, PAH_Q(32)
#define PAH_L40 PAH_L36 ", %36, %37, %38, %39"
#define PAH_O40 PAH_O36, PAH_Q(36)
#define PAH_L44 PAH_L40 ", %40, %41, %42, %43"
#define PAH_O44 PAH_O40, PAH_Q(40)
#define PAH_L48 PAH_L44 ", %44, %45, %46, %47"
#define PAH_O48 PAH_O44, PAH_Q(44)
#define PAH_L52 PAH_L48 ", %48, %49, %50, %51"
#define PAH_O52 PAH_O48, PAH_Q(48)
#define PAH_L56 PAH_L52 ", %52, %53, %54, %55"
#define PAH_O56 PAH_O52, PAH_Q(52)
#define PAH_L60 PAH_L56 ", %56, %57, %58, %59"
#define PAH_O60 PAH_O56, PAH_Q(56)
#define PAH_L64 PAH_L60 ", %60, %61, %62, %63"
#define PAH_O64 PAH_O60, PAH_Q(60)
#define PAH_L68 PAH_L64 ", %64, %65, %66, %67"
#define PAH_O68 PAH_O64, PAH_Q(64)
#define PAH_L72 PAH_L68 ", %68, %69, %70, %71"
#define PAH_O72 PAH_O68, PAH_Q(68)
#define PAH_L76 PAH_L72 ", %72, %73, %74, %75"
#define PAH_O76 PAH_O72, PAH_Q(72)
#define PAH_L80 PAH_L76 ", %76, %77, %78, %79"
#define PAH_O80 PAH_O76, PAH_Q(76)
#define PAH_L84 PAH_L80 ", %80, %81, %82, %83"
#define PAH_O84 PAH_O80, PAH_Q(80)
#define PAH_L88 PAH_L84 ", %84, %85, %86, %87"
#define PAH_O88 PAH_O84, PAH_Q(84)
#define PAH_L92 PAH_L88 ", %88, %89, %90, %91"
#define PAH_O92 PAH_O88, PAH_Q(88)
#define PAH_L96 PAH_L92 ", %92, %93, %94, %95"
#define PAH_O96 PAH_O92, PAH_Q(92)
#define PAH_L100 PAH_L96 ", %96, %97, %98, %99"
#define PAH_O100 PAH_O96, PAH_Q(96)
#define PAH_L104 PAH_L100 ", %100, %101, %102, %103"
#define PAH_O104 PAH_O100, PAH_Q(100)
#define PAH_L108 PAH_L104 ", %104, %105, %106, %107"
#define PAH_O108 PAH_O104, PAH_Q(104)
#define PAH_L112 PAH_L108 ", %108, %109, %110, %111"
#define PAH_O112 PAH_O108, PAH_Q(108)
#define PAH_L116 PAH_L112 ", %112, %113, %114, %115"
#define PAH_O116 PAH_O112, PAH_Q(112)
#define PAH_L120 PAH_L116 ", %116, %117, %118, %119"
#define PAH_O120 PAH_O116, PAH_Q(116)
#define PAH_L124 PAH_L120 ", %120, %121, %122, %123"
#define PAH_O124 PAH_O120, PAH_Q(120)
#define PAH_L128 PAH_L124 ", %124, %125, %126, %127"
#define PAH_O128 PAH_O124, PAH_Q(124)

// N, sums per thread, and the numbers of the nine operands after the sums.
#define PAH_WGMMA_SIZES(X, kind, code)                                                                                 \
  X(kind, code, 8, PAH_L4, PAH_O4, 4, 5, 6, 7, 8, 9, 10, 11, 12)                                                       \
  X(kind, code, 16, PAH_L8, PAH_O8, 8, 9, 10, 11, 12, 13, 14, 15, 16)                                                  \
  X(kind, code, 24, PAH_L12, PAH_O12, 12, 13, 14, 15, 16, 17, 18, 19, 20)                                              \
  X(kind, code, 32, PAH_L16, PAH_O16, 16, 17, 18, 19, 20, 21, 22, 23, 24)                                              \
  X(kind, code, 40, PAH_L20, PAH_O20, 20, 21, 22, 23, 24, 25, 26, 27, 28)                                              \
  X(kind, code, 48, PAH_L24, PAH_O24, 24, 25, 26, 27, 28, 29, 30, 31, 32)                                              \
  X(kind, code, 56, PAH_L28, PAH_O28, 28, 29, 30, 31, 32, 33, 34, 35, 36)                                              \
  X(kind, code, 64, PAH_L32, PAH_O32, 32, 33, 34, 35, 36, 37, 38, 39, 40)                                              \
  X(kind, code, 72, PAH_L36, PAH_O36, 36, 37, 38, 39, 40, 41, 42, 43, 44)                                              \
  X(kind, code, 80, PAH_L40, PAH_O40, 40, 41, 42, 43, 44, 45, 46, 47, 48)                                              \
  X(kind, code, 88, PAH_L44, PAH_O44, 44, 45, 46, 47, 48, 49, 50, 51, 52)                                              \
  X(kind, code, 96, PAH_L48, PAH_O48, 48, 49, 50, 51, 52, 53, 54, 55, 56)                                              \
  X(kind, code, 104, PAH_L52, PAH_O52, 52, 53, 54, 55, 56, 57, 58, 59, 60)                                             \
  X(kind, code, 112, PAH_L56, PAH_O56, 56, 57, 58, 59, 60, 61, 62, 63, 64)                                             \
  X(kind, code, 120, PAH_L60, PAH_O60, 60, 61, 62, 63, 64, 65, 66, 67, 68)                                             \
  X(kind, code, 128, PAH_L64, PAH_O64, 64, 65, 66, 67, 68, 69, 70, 71, 72)                                             \
  X(kind, code, 136, PAH_L68, PAH_O68, 68, 69, 70, 71, 72, 73, 74, 75, 76)                                             \
  X(kind, code, 144, PAH_L72, PAH_O72, 72, 73, 74, 75, 76, 77, 78, 79, 80)                                             \
  X(kind, code, 152, PAH_L76, PAH_O76, 76, 77, 78, 79, 80, 81, 82, 83, 84)                                             \
  X(kind, code, 160, PAH_L80, PAH_O80, 80, 81, 82, 83, 84, 85, 86, 87, 88)                                             \
  X(kind, code, 168, PAH_L84, PAH_O84, 84, 85, 86, 87, 88, 89, 90, 91, 92)                                             \
  X(kind, code, 176, PAH_L88, PAH_O88, 88, 89, 90, 91, 92, 93, 94, 95, 96)                                             \
  X(kind, code, 184, PAH_L92, PAH_O92, 92, 93, 94, 95, 96, 97, 98, 99, 100)                                            \
  X(kind, code, 192, PAH_L96, PAH_O96, 96, 97, 98, 99, 100, 101, 102, 103, 104)                                        \
  X(kind, code, 200, PAH_L100, PAH_O100, 100, 101, 102, 103, 104, 105, 106, 107, 108)                                  \
  X(kind, code, 208, PAH_L104, PAH_O104, 104, 105, 106, 107, 108, 109, 110, 111, 112)                                  \
  X(kind, code, 216, PAH_L108, PAH_O108, 108, 109, 110, 111, 112, 113, 114, 115, 116)                                  \
  X(kind, code, 224, PAH_L112, PAH_O112, 112, 113, 114, 115, 116, 117, 118, 119, 120)                                  \
  X(kind, code, 232, PAH_L116, PAH_O116, 116, 117, 118, 119, 120, 121, 122, 123, 124)                                  \
  X(kind, code, 240, PAH_L120, PAH_O120, 120, 121, 122, 123, 124, 125, 126, 127, 128)                                  \
  X(kind, code, 248, PAH_L124, PAH_O124, 124, 125, 126, 127, 128, 129, 130, 131, 132)                                  \
  X(kind, code, 256, PAH_L128, PAH_O128, 128, 129, 130, 131, 132, 133, 134, 135, 136)

// 16-bit types, whose operands may be transposed.
#define PAH_WGMMA_16(kind, code, n, list, operands, i0, i1, i2, i3, i4, i5, i6, i7, i8)                                \
  template <> struct wgmma_code<kind, n> {                                                                             \
    template <int TransA, int TransB, int SignA, int SignB>                                                            \
    static PAH_PTX void ss(float (&d)[n / 2], u64 a, u64 b, int add) {                                                 \
      asm volatile("{\n .reg .pred p;\n setp.ne.b32 p, %" #i2 ", 0;\n wgmma.mma_async.sync.aligned.m64n" #n code       \
                   " {" list "}, %" #i0 ", %" #i1 ", p, %" #i3 ", %" #i4 ", %" #i5 ", %" #i6 ";\n}"                    \
                   : operands                                                                                          \
                   : "l"(a), "l"(b), "r"(add), "n"(SignA), "n"(SignB), "n"(TransA), "n"(TransB));                      \
    }                                                                                                                  \
    template <int TransB, int SignA, int SignB>                                                                        \
    static PAH_PTX void rs(float (&d)[n / 2], const u32 (&a)[4], u64 b, int add) {                                     \
      asm volatile(                                                                                                    \
          "{\n .reg .pred p;\n setp.ne.b32 p, %" #i5 ", 0;\n wgmma.mma_async.sync.aligned.m64n" #n code " {" list      \
          "}, {%" #i0 ", %" #i1 ", %" #i2 ", %" #i3 "}, %" #i4 ", p, %" #i6 ", %" #i7 ", %" #i8 ";\n}"                 \
          : operands                                                                                                   \
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(SignA), "n"(SignB), "n"(TransB));        \
    }                                                                                                                  \
  };

// The others, always K-major.
#define PAH_WGMMA_K(kind, code, n, list, operands, i0, i1, i2, i3, i4, i5, i6, i7, i8)                                 \
  template <> struct wgmma_code<kind, n> {                                                                             \
    template <int TransA, int TransB, int SignA, int SignB>                                                            \
    static PAH_PTX void ss(float (&d)[n / 2], u64 a, u64 b, int add) {                                                 \
      static_assert(!TransA && !TransB, "wgmma: only 16-bit types may be MN-major");                                   \
      asm volatile("{\n .reg .pred p;\n setp.ne.b32 p, %" #i2 ", 0;\n wgmma.mma_async.sync.aligned.m64n" #n code       \
                   " {" list "}, %" #i0 ", %" #i1 ", p, %" #i3 ", %" #i4 ";\n}"                                        \
                   : operands                                                                                          \
                   : "l"(a), "l"(b), "r"(add), "n"(SignA), "n"(SignB));                                                \
    }                                                                                                                  \
    template <int TransB, int SignA, int SignB>                                                                        \
    static PAH_PTX void rs(float (&d)[n / 2], const u32 (&a)[4], u64 b, int add) {                                     \
      static_assert(!TransB, "wgmma: only 16-bit types may be MN-major");                                              \
      asm volatile("{\n .reg .pred p;\n setp.ne.b32 p, %" #i5 ", 0;\n wgmma.mma_async.sync.aligned.m64n" #n code       \
                   " {" list "}, {%" #i0 ", %" #i1 ", %" #i2 ", %" #i3 "}, %" #i4 ", p, %" #i6 ", %" #i7 ";\n}"        \
                   : operands                                                                                          \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(SignA), "n"(SignB));            \
    }                                                                                                                  \
  };

PAH_WGMMA_SIZES(PAH_WGMMA_16, WGMMA_BF16, "k16.f32.bf16.bf16")
PAH_WGMMA_SIZES(PAH_WGMMA_16, WGMMA_F16, "k16.f32.f16.f16")
PAH_WGMMA_SIZES(PAH_WGMMA_K, WGMMA_TF32, "k8.f32.tf32.tf32")
PAH_WGMMA_SIZES(PAH_WGMMA_K, WGMMA_E4M3_E4M3, "k32.f32.e4m3.e4m3")
PAH_WGMMA_SIZES(PAH_WGMMA_K, WGMMA_E5M2_E5M2, "k32.f32.e5m2.e5m2")
PAH_WGMMA_SIZES(PAH_WGMMA_K, WGMMA_E4M3_E5M2, "k32.f32.e4m3.e5m2")
PAH_WGMMA_SIZES(PAH_WGMMA_K, WGMMA_E5M2_E4M3, "k32.f32.e5m2.e4m3")
#undef PAH_WGMMA_K
#undef PAH_WGMMA_16
#undef PAH_WGMMA_SIZES
