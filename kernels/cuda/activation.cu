// Activations, their gradients, and sums of two arrays.
// For the formulas see reference/activation.py.
#include "common.cuh"

__device__ __forceinline__ float sigmoid(float x) { return activate(x, SIGMOID); }

// u(x), the argument of tanh in gelu_tanh, and its slope.
#define ROOT 0.79788456f  // sqrt(2 / pi)
#define FAR 99.0f         // tanh is 1 long before
__device__ __forceinline__ float argument(float x) { return ROOT * (x + 0.044715f * x * x * x); }
__device__ __forceinline__ float argument_slope(float x) {
    return ROOT * (1.0f + 0.134145f * x * x);
}

// Every activation; a and b are its constants: slope, alpha, or low and high.
__device__ __forceinline__ float curve(float x, int activation, float a, float b) {
    switch (activation) {
        case LEAKY_RELU: return x > 0 ? x : a * x;
        case ELU: return x > 0 ? x : a * expm1f(x);
        case CLIP: return clamp(x, a, b);
        case HARD_SIGMOID: return clamp(x + 3.0f, 0.0f, 6.0f) / 6.0f;
        case HARD_SWISH: return x * (clamp(x + 3.0f, 0.0f, 6.0f) / 6.0f);  // 6 x may overflow
        case SILU: return x * sigmoid(x);
        case GELU_TANH: return 0.5f * x * (1.0f + tanhf(argument(x)));
        default: return activate(x, activation);
    }
}

// From the output or, for those that reference/activation.py has in FROM_INPUT, from the input.
__device__ __forceinline__ float curve_grad(float dy, float x, int activation, float a, float b) {
    switch (activation) {
        case LEAKY_RELU: return x > 0 ? dy : a * dy;
        case ELU: return x > 0 ? dy : dy * (a * expf(x));
        case CLIP: return x >= a && x <= b ? dy : 0.0f;
        case HARD_SIGMOID: return x > -3.0f && x < 3.0f ? dy / 6.0f : 0.0f;
        case HARD_SWISH:
            return x <= -3.0f ? 0.0f : x >= 3.0f ? dy : dy * (x / 3.0f + 0.5f);
        case SILU: {
            float s = sigmoid(x);
            return dy * (s * (1.0f + x * (1.0f - s)));
        }
        case GELU_TANH: {
            x = clamp(x, -FAR, FAR);  // the square of a large x is infinite, and 0 times it NaN
            float t = tanhf(argument(x)), bend = (1.0f - t) * (1.0f + t) * argument_slope(x);
            return dy * (0.5f * (1.0f + t + x * bend));
        }
        default: return activation_grad(dy, x, activation);
    }
}

extern "C" __global__ void apply(const REAL* x, Pixels x_at, REAL* y, Pixels y_at, int vectors,
                                 int activation, float a, float b) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector v = load(x + place(i, x_at));
    EACH_LANE(j) v.at[j] = curve(v.at[j], activation, a, b);
    store(y + place(i, y_at), v);
}

extern "C" __global__ void apply_grad(const REAL* dy, Pixels dy_at, const REAL* y, Pixels y_at,
                                      REAL* dx, Pixels dx_at, int vectors, int activation, float a,
                                      float b) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector d = load(dy + place(i, dy_at)), v = load(y + place(i, y_at));
    EACH_LANE(j) d.at[j] = curve_grad(d.at[j], v.at[j], activation, a, b);
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
