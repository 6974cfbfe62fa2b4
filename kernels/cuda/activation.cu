// Activations, their gradients from the output (GELU's: from the input), and sums of two arrays.
// For the formulas see reference/activation.py.
#include "common.cuh"

extern "C" __global__ void apply(const REAL* x, Pixels x_at, REAL* y, Pixels y_at, int vectors,
                                 int activation) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector v = load(x + place(i, x_at));
    EACH_LANE(j) v.at[j] = activate(v.at[j], activation);
    store(y + place(i, y_at), v);
}

extern "C" __global__ void apply_grad(const REAL* dy, Pixels dy_at, const REAL* y, Pixels y_at,
                                      REAL* dx, Pixels dx_at, int vectors, int activation) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector d = load(dy + place(i, dy_at)), v = load(y + place(i, y_at));
    EACH_LANE(j) d.at[j] = activation_grad(d.at[j], v.at[j], activation);
    store(dx + place(i, dx_at), d);
}

extern "C" __global__ void add(const REAL* a, Pixels a_at, const REAL* b, Pixels b_at, REAL* y,
                               Pixels y_at, int vectors, int activation) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector v = load(a + place(i, a_at)), w = load(b + place(i, b_at));
    EACH_LANE(j) v.at[j] = activate(v.at[j] + w.at[j], activation);
    store(y + place(i, y_at), v);
}

// Conversion between float and bf16: y in the type TO.
#ifndef TO
#define TO float
#endif
extern "C" __global__ void convert(const REAL* x, TO* y, int vectors) {
    int i = THREAD;
    if (i < vectors) store(y + (long long)i * V, load(x + (long long)i * V));
}

// Rows of another length: the first numbers of x's rows, which have `length` numbers and are `step`
// apart, then zeros.
extern "C" __global__ void resize(const REAL* __restrict__ x, int step, int length,
                                  REAL* __restrict__ y, Divisor by_vectors, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    int row = i / by_vectors, first = (i - row * int(by_vectors.d)) * V;
    Vector v;
    EACH_LANE(j)
        v.at[j] = first + j < length ? to_float(x[(long long)row * step + first + j]) : 0.0f;
    store(y + (long long)i * V, v);
}
