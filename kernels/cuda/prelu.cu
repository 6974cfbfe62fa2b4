// PReLU: a leaky ReLU with one trained slope per channel, or with one for all (`shared`).
// For the formulas see reference/activation.py.
#include "sums.cuh"

__device__ __forceinline__ float slope_of(const float* w, int shared, int c) {
    return w[shared ? 0 : c];
}

extern "C" __global__ void prelu(const REAL* __restrict__ x, int x_step,
                                 const float* __restrict__ w, int shared, REAL* __restrict__ y,
                                 int y_step, Divisor by_vectors, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    int pixel = i / by_vectors, c = (i - pixel * int(by_vectors.d)) * V;
    Vector v = load(x + (long long)pixel * x_step + c);
    EACH_LANE(j) v.at[j] = v.at[j] > 0 ? v.at[j] : slope_of(w, shared, c + j) * v.at[j];
    store(y + (long long)pixel * y_step + c, v);
}

extern "C" __global__ void prelu_grad(const REAL* __restrict__ dy, int dy_step,
                                      const REAL* __restrict__ x, int x_step,
                                      const float* __restrict__ w, int shared,
                                      REAL* __restrict__ dx, Divisor by_vectors, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    int pixel = i / by_vectors, c = (i - pixel * int(by_vectors.d)) * V;
    Vector v = load(x + (long long)pixel * x_step + c),
           d = load(dy + (long long)pixel * dy_step + c);
    EACH_LANE(j) d.at[j] = v.at[j] > 0 ? d.at[j] : slope_of(w, shared, c + j) * d.at[j];
    store(dx + (long long)i * V, d);
}

extern "C" __global__ void prelu_sums(const REAL* __restrict__ dy, int dy_step,
                                      const REAL* __restrict__ x, int x_step, int pixels,
                                      int channels, float* __restrict__ partial) {
    auto value = [&](int pixel, int c, Vector* v) {
        Vector d = load(dy + (long long)pixel * dy_step + c),
               u = load(x + (long long)pixel * x_step + c);
        EACH_LANE(i) v[0].at[i] = u.at[i] > 0 ? 0.0f : d.at[i] * u.at[i];
    };
    column_sums<1>(value, pixels, channels, partial);
}

extern "C" __global__ void prelu_totals(const float* __restrict__ partial, int chunks,
                                        int channels, int shared, float* __restrict__ dw) {
    int c = THREAD;
    if (c >= (shared ? 1 : channels)) return;
    float total = 0;
    for (int k = c; k < (shared ? channels : c + 1); k++)
        total += total_of(partial, chunks, 1, 0, channels, k);
    dw[c] = total;
}
