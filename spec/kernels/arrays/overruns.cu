// overruns.cu - arrays with a size of their own, local, shared and of the device, that are overrun by way of
// pointers. BUG 1 has the mistake at the line marked with the kernel's name. g has 256 numbers, u has 256 that nobody
// has written, n is 256; spec/sim/sim_bugs_spec.lua launches them with 64 threads.
#define TEMPLATE template <int BUG> __global__ void

__device__ __noinline__ void put(int *v, int i) {
  v[i] = i; // to_a_function
}
__device__ __noinline__ void put_before(int *v, int i) {
  v[i] = i; // before_the_array
}
template <class T> __device__ __noinline__ void put_any(T *v, int i) {
  v[i] = i; // into_the_last_member
}
__device__ __noinline__ int sum(const int *v, int n) {
  int s = 0;
  for (int i = 0; i < n; i++) s += v[i]; // read_by_a_function
  return s;
}
struct pair {
  int a[4], b[4];
};
struct registers {
  int v[4];
  __device__ int *data() {
    return v;
  }
};
template <class T, int N> struct array {
  T d[N];
  __device__ T &operator[](int i) {
    return d[i]; // returned_by_reference
  }
};
__device__ void increase(int &v) {
  v++;
}
template <class Iterator> __device__ int total(Iterator from, Iterator to) {
  int s = 0;
  while (from != to) s += *from++; // by_iterators
  return s;
}
__device__ int table[16];

TEMPLATE pointer(int *g, int *u, int n) {
  int v[4] = {1, 2, 3, 4};
  int *p = v;
  p[n / 64 - 1 + BUG] = 2; // pointer
  u[threadIdx.x] = v[0] + v[3];
}

TEMPLATE pointer_that_moves(int *g, int *u, int n) {
  int v[4], s = 0;
  for (int *p = v; p < v + n / 64 + BUG; p++) *p = n; // pointer_that_moves
  for (int i = 0; i < 4; i++) s += v[i];
  u[threadIdx.x] = s;
}

TEMPLATE to_a_function(int *g, int *u, int n) {
  int v[4] = {1, 2, 3, 4};
  put(v, n / 64 - 1 + BUG);
  u[threadIdx.x] = v[0] + v[3];
}

TEMPLATE read_by_a_function(int *g, int *u, int n) {
  int v[4] = {1, 2, 3, 4};
  u[threadIdx.x] = sum(v, n / 64 + BUG);
}

TEMPLATE before_the_array(int *g, int *u, int n) {
  int v[4] = {1, 2, 3, 4};
  put_before(v + 2, n / 64 - 6 - BUG);
  u[threadIdx.x] = v[0] + v[3];
}

TEMPLATE pointer_to_rows(int *g, int *u, int n) {
  int v[3][4];
  for (int i = 0; i < 12; i++) (&v[0][0])[i] = i;
  int(*p)[4] = v;
  u[threadIdx.x] = p[n / 64 - 2 + BUG][n / 64 - 2]; // pointer_to_rows
}

TEMPLATE cast_to_a_vector(int *g, int *u, int n) {
  int v[8];
  for (int i = 0; i < 8; i++) v[i] = i;
  u[threadIdx.x] = reinterpret_cast<int4 *>(v)[n / 64 - 3 + BUG].x; // cast_to_a_vector
}

TEMPLATE cast_of_a_vector(int *g, int *u, int n) {
  int4 v = make_int4(g[threadIdx.x], 1, 2, 3);
  const int *p = reinterpret_cast<const int *>(&v);
  int s = 0;
  for (int i = 0; i < n / 64 + BUG; i++) s += p[i]; // cast_of_a_vector
  u[threadIdx.x] = s;
}

TEMPLATE into_the_next_member(int *g, int *u, int n) {
  pair s;
  for (int i = 0; i < 4; i++) s.a[i] = s.b[i] = i;
  int *p = s.a;
  p[n / 64 - 1 + BUG] = 9; // into_the_next_member
  u[threadIdx.x] = s.a[0] + s.b[0];
}

TEMPLATE into_the_last_member(int *g, int *u, int n) {
  pair s;
  for (int i = 0; i < 4; i++) s.a[i] = s.b[i] = i;
  put_any(s.b, n / 64 - 1 + BUG);
  u[threadIdx.x] = s.a[0] + s.b[0];
}

TEMPLATE by_a_lambda(int *g, int *u, int n) {
  int v[4] = {0};
  auto add = [](int *p, int i) { p[i] += i; }; // by_a_lambda
  for (int i = 0; i < n / 64 + BUG; i++) add(v, i);
  u[threadIdx.x] = v[0] + v[3];
}

TEMPLATE from_a_reference(int *g, int *u, int n) {
  int v[4] = {0};
  int &second = v[1], *p = &second;
  for (int i = 0; i < n / 64 - 1 + BUG; i++) p[i] = g[i]; // from_a_reference
  u[threadIdx.x] = v[1];
}

TEMPLATE from_a_member_function(int *g, int *u, int n) {
  registers r;
  for (int i = 0; i < 4; i++) r.v[i] = g[i];
  int *p = r.data(), s = 0;
  for (int i = 0; i < n / 64 + BUG; i++) s += p[i]; // from_a_member_function
  u[threadIdx.x] = s;
}

TEMPLATE copied_by_bytes(int *g, int *u, int n) {
  int v[4];
  memcpy(v, g, (n / 64 + BUG) * 4); // copied_by_bytes
  u[threadIdx.x] = v[0] + v[3];
}

TEMPLATE two_that_swap(int *g, int *u, int n) {
  int a[4] = {0}, b[4] = {1}, *p = a, *q = b;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < n / 64 + BUG; i++) q[i] = p[i] + round; // two_that_swap
    int *t = p;
    p = q;
    q = t;
  }
  u[threadIdx.x] = a[0] + b[0];
}

TEMPLATE sum_of_pointer_and_index(int *g, int *u, int n) {
  int top[4] = {-1, -1, -1, -1};
  for (int j = n / 64 - 1; j >= 0; j--)
    if (j < 3 + BUG) (top + j)[1] = top[j]; // sum_of_pointer_and_index
  u[threadIdx.x] = top[0];
}

TEMPLATE member_in_shared(int *g, int *u, int n) {
  __shared__ struct { int a[64], b[64]; } tile;
  tile.a[threadIdx.x] = tile.b[threadIdx.x] = 1;
  __syncthreads();
  int *p = tile.a;
  if (threadIdx.x == 63) p[threadIdx.x + BUG] = 2; // member_in_shared
  __syncthreads();
  u[threadIdx.x] = tile.a[threadIdx.x] + tile.b[threadIdx.x];
}

TEMPLATE returned_by_reference(int *g, int *u, int n) {
  array<int, 4> a;
  for (int i = 0; i < n / 64; i++) a[i] = i;
  u[threadIdx.x] = a[(threadIdx.x & 3) + BUG];
}

TEMPLATE argument_by_reference(int *g, int *u, int n) {
  int v[4] = {1, 2, 3, 4};
  increase(v[n / 64 - 1 + BUG]); // argument_by_reference
  u[threadIdx.x] = v[0] + v[3];
}

TEMPLATE by_iterators(int *g, int *u, int n) {
  int v[5] = {1, 2, 3, 4, 5};
  u[threadIdx.x] = total(v, v + n / 64 + 1 + BUG);
}

TEMPLATE one_of_two_pointers(int *g, int *u, int n) {
  int v[4] = {1, 2, 3, 4}, s = 0;
  int *ends[2] = {v, v + 4};
  for (int *p = ends[0]; p < ends[1] + BUG; p++) s += *p; // one_of_two_pointers
  u[threadIdx.x] = s;
}

TEMPLATE device_variable(int *g, int *u, int n) {
  int *p = table;
  p[n / 16 - 1 + BUG] = 1; // device_variable
}

// None of these is a mistake: what lies behind the first element, a whole class, rows of one array, one past its end.
TEMPLATE none(int *g, int *u, int n) {
  int4 v = make_int4(1, 2, 3, 4);
  int *first = &v.x, m[3][4], *row = m[0], s = 0;
  for (int i = 0; i < 12; i++) row[i] = first[i % 4];
  pair all;
  int *words = (int *)&all;
  for (int i = 0; i < 8; i++) words[i] = m[i / 4][i % 4];
  for (int *p = all.b, *end = all.b + 4; p != end; ++p) s += *p;
  u[threadIdx.x] = s + sum(&m[0][0], 12) + sum(words, 8);
  if (BUG) u[n] = 1; // none
}
