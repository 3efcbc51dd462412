/* random.cu - counter-based random numbers with the bits of src/tensor/random.c: Philox 4x32-10 (Salmon et al.,
 * "Parallel random numbers: as easy as 1, 2, 3", 2011), one counter for each element, or for two normals. The number
 * of an element depends on seed and row-major index alone, so any thread may draw it. Read next: exact.cuh. */
#include "exact.cuh"
#include "number.cuh"
#include "walk.cuh"

/* The fourth word of the counter: kinds of one seed do not correlate. */
enum { STREAM_UNIFORM = 0, STREAM_NORMAL, STREAM_INTEGER };

struct philox {
  unsigned word[4];
};

__device__ inline philox draw(unsigned long long seed, unsigned long long counter, unsigned attempt, unsigned stream) {
  unsigned c0 = (unsigned)counter, c1 = (unsigned)(counter >> 32), c2 = attempt, c3 = stream;
  unsigned k0 = (unsigned)seed, k1 = (unsigned)(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
    unsigned long long p0 = 0xd2511f53ull * c0, p1 = 0xcd9e8d57ull * c2;
    c0 = (unsigned)(p1 >> 32) ^ c1 ^ k0;
    c1 = (unsigned)p1;
    c2 = (unsigned)(p0 >> 32) ^ c3 ^ k1;
    c3 = (unsigned)p0;
  }
  return {{c0, c1, c2, c3}};
}

/* 53 bits to [0, 1). */
__device__ inline double unit(unsigned high, unsigned low) {
  return (double)(((unsigned long long)high << 32 | low) >> 11) * 0x1p-53;
}

/* ---- Uniform ---- */

extern "C" __global__ void uniform(pah_walk w, pah_draw_params d) {
  for (int u = 0; u < PAH_WALK_ITEMS; u++) {
    long long i = item_of(u);
    if (i >= w.count) return;
    philox p = draw(d.seed, (unsigned long long)i, 0, STREAM_UNIFORM);
    double x = (exact(d.a) + (exact(d.b) - d.a) * unit(p.word[0], p.word[1])).value;
    store(d.type, w.a, place_of(w, i).a, x < d.first ? d.first : x > d.last ? d.last : x);
  }
}

/* ---- Normal: Box-Muller, by polynomials, as every libm differs in the last bits ---- */

/* log(x) for 2^-53 <= x <= 1: x = m 2^e with m in [sqrt(1/2), sqrt(2)), log(m) = 2 atanh((m-1)/(m+1)). */
__device__ inline exact natural_log(double x) {
  long long bits = __double_as_longlong(x);
  int e = (int)(bits >> 52) - 1022;
  double m = __longlong_as_double((bits & 0xfffffffffffffll) | 1022ll << 52);
  if (m < 0.70710678118654752) {
    m *= 2;
    e--;
  }
  exact s = (exact(m) - 1) / (exact(m) + 1), s2 = s * s, sum = 1.0 / 21;
  sum = sum * s2 + 1.0 / 19;
  sum = sum * s2 + 1.0 / 17;
  sum = sum * s2 + 1.0 / 15;
  sum = sum * s2 + 1.0 / 13;
  sum = sum * s2 + 1.0 / 11;
  sum = sum * s2 + 1.0 / 9;
  sum = sum * s2 + 1.0 / 7;
  sum = sum * s2 + 1.0 / 5;
  sum = sum * s2 + 1.0 / 3;
  sum = sum * s2 + 1;
  return exact(2) * s * sum + exact(e) * 0.69314718055994531;
}

/* cos and sin of 2 pi u, 0 <= u < 1: reduced to an eighth of the circle, then the Taylor series; each step is the ratio
 * 1 / (k (k-1)) of two terms. */
__device__ inline void cos_sin_turn(double u, double &cosine, double &sine) {
  int quarter = (int)(exact(u) * 4 + 0.5).value;
  exact x = (exact(u) - exact(quarter) * 0.25) * 6.28318530717958648, x2 = x * x;
  exact c = exact(1) - x2 * (1.0 / 306), s = exact(1) - x2 * (1.0 / 342);
  c = exact(1) - c * x2 * (1.0 / 240), s = exact(1) - s * x2 * (1.0 / 272);
  c = exact(1) - c * x2 * (1.0 / 182), s = exact(1) - s * x2 * (1.0 / 210);
  c = exact(1) - c * x2 * (1.0 / 132), s = exact(1) - s * x2 * (1.0 / 156);
  c = exact(1) - c * x2 * (1.0 / 90), s = exact(1) - s * x2 * (1.0 / 110);
  c = exact(1) - c * x2 * (1.0 / 56), s = exact(1) - s * x2 * (1.0 / 72);
  c = exact(1) - c * x2 * (1.0 / 30), s = exact(1) - s * x2 * (1.0 / 42);
  c = exact(1) - c * x2 * (1.0 / 12), s = exact(1) - s * x2 * (1.0 / 20);
  c = exact(1) - c * x2 * (1.0 / 2), s = exact(1) - s * x2 * (1.0 / 6);
  s = s * x;
  double a = quarter & 1 ? s.value : c.value, b = quarter & 1 ? c.value : s.value;
  cosine = (quarter + 1) & 2 ? -a : a;
  sine = quarter & 2 ? -b : b;
}

/* An item is a pair of elements: w.count counts pairs, `elements` what they are of. */
extern "C" __global__ void normal(pah_walk w, pah_draw_params d, long long elements) {
  for (int u = 0; u < PAH_WALK_ITEMS; u++) {
    long long pair = item_of(u);
    if (pair >= w.count) return;
    philox p = draw(d.seed, (unsigned long long)pair, 0, STREAM_NORMAL);
    double cosine, sine, radius = __dsqrt_rn((exact(-2) * natural_log(1 - unit(p.word[0], p.word[1]))).value);
    cos_sin_turn(unit(p.word[2], p.word[3]), cosine, sine);
    store(d.type, w.a, place_of(w, 2 * pair).a, (exact(d.a) + exact(d.b) * (exact(radius) * cosine)).value);
    if (2 * pair + 1 < elements)
      store(d.type, w.a, place_of(w, 2 * pair + 1).a, (exact(d.a) + exact(d.b) * (exact(radius) * sine)).value);
  }
}

/* ---- Whole numbers ---- */

/* 0 <= x < range without bias (Lemire 2019): the few draws that would favour low results are drawn again. range 0:
 * 2^64. */
__device__ inline unsigned long long below(unsigned long long seed, unsigned long long counter,
                                           unsigned long long range) {
  for (unsigned attempt = 0;; attempt++) {
    philox p = draw(seed, counter, attempt, STREAM_INTEGER);
    unsigned long long x = (unsigned long long)p.word[0] << 32 | p.word[1];
    if (range == 0) return x;
    unsigned long long low = x * range;
    if (low >= range || low >= (0 - range) % range) return __umul64hi(x, range); /* the first spares most divisions */
  }
}

extern "C" __global__ void integer(pah_walk w, pah_draw_params d) {
  for (int u = 0; u < PAH_WALK_ITEMS; u++) {
    long long i = item_of(u);
    if (i >= w.count) return;
    long long x = (long long)((unsigned long long)d.low + below(d.seed, (unsigned long long)i, d.range));
    if (d.type == TYPE_I64)
      ((long long *)w.a)[place_of(w, i).a] = x;
    else
      store(d.type, w.a, place_of(w, i).a, (double)x);
  }
}
