// Activations, their gradients from the output, and sums of two arrays. See reference/activation.py for the formulas.
#include "common.cuh"

extern "C" __global__ void apply(const REAL* x, Pixels x_at, REAL* y, Pixels y_at, int vectors, int activation) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector v = load(x + place(i, x_at));
    EACH_LANE(j) v.at[j] = activate(v.at[j], activation);
    store(y + place(i, y_at), v);
}

extern "C" __global__ void apply_grad(const REAL* dy, Pixels dy_at, const REAL* y, Pixels y_at, REAL* dx, Pixels dx_at, int vectors,
                                      int activation) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector d = load(dy + place(i, dy_at)), v = load(y + place(i, y_at));
    EACH_LANE(j) d.at[j] = activation_grad(d.at[j], v.at[j], activation);
    store(dx + place(i, dx_at), d);
}

extern "C" __global__ void add(const REAL* a, Pixels a_at, const REAL* b, Pixels b_at, REAL* y, Pixels y_at, int vectors, int activation) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector v = load(a + place(i, a_at)), w = load(b + place(i, b_at));
    EACH_LANE(j) v.at[j] = activate(v.at[j] + w.at[j], activation);
    store(y + place(i, y_at), v);
}

// Between float and bf16: TO from(x).
#ifndef TO
#define TO float
#endif
extern "C" __global__ void convert(const REAL* x, TO* y, int vectors) {
    int i = THREAD;
    if (i < vectors) store(y + (long long)i * V, load(x + (long long)i * V));
}
