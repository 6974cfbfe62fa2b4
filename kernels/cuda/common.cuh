// What all kernels share: number types, vectors, indices without division, sums over a warp,
// activations.
//
// The same text is compiled for a GPU (NVRTC, nvcc) and, by the tests, for the CPU, where
// emulator.h replaces CUDA's own definitions. SHARED names the shared memory of a block, one
// dynamic allocation.
#pragma once

#ifndef EMULATED
extern __shared__ __align__(16) unsigned char shared_memory[];
#define SHARED(type, name) type* name = reinterpret_cast<type*>(shared_memory)
#endif

#define INFINITE __int_as_float(0x7f800000)

// ---- bfloat16: the upper half of a float --------------------------------------------------------

struct bf16 {
    unsigned short bits;
};

__device__ __forceinline__ float to_float(float x) { return x; }

__device__ __forceinline__ float to_float(bf16 x) {
    return __uint_as_float(unsigned(x.bits) << 16);
}

// Rounds to nearest, ties to even; NaN stays NaN.
__device__ __forceinline__ bf16 to_bf16(float x) {
    unsigned u = __float_as_uint(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return bf16{0x7fff};
    return bf16{(unsigned short)((u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
}

// REAL is the type that activations are stored in; parameters, statistics and sums are float.
#ifndef REAL
#define REAL float
#endif

template <class T>
__device__ __forceinline__ T from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
    return x;
}
template <>
__device__ __forceinline__ bf16 from_float<bf16>(float x) {
    return to_bf16(x);
}

// ---- V neighboring channels at once -------------------------------------------------------------

// One load of 16 bytes moves four floats or eight bf16. The launcher sets V=4 or V=8 if all
// addresses and steps allow it, else V=1.
#ifndef V
#define V 1
#endif

template <class T>
struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) Packed {
    T at[V];
};

struct Vector {
    float at[V];
};

#define EACH_LANE(i) _Pragma("unroll") for (int i = 0; i < V; i++)

template <class T>
__device__ __forceinline__ Vector load(const T* p) {
    Packed<T> packed = *reinterpret_cast<const Packed<T>*>(p);
    Vector v;
    EACH_LANE(i) v.at[i] = to_float(packed.at[i]);
    return v;
}

template <class T>
__device__ __forceinline__ void store(T* p, Vector v) {
    Packed<T> packed;
    EACH_LANE(i) packed.at[i] = from_float<T>(v.at[i]);
    *reinterpret_cast<Packed<T>*>(p) = packed;
}

__device__ __forceinline__ Vector splat(float x) {
    Vector v;
    EACH_LANE(i) v.at[i] = x;
    return v;
}

// ---- indices ------------------------------------------------------------------------------------

// n / d and n % d for 0 <= n < 2^31 by one multiplication (Granlund & Montgomery 1994); `divisor`
// in device.py computes the numbers.
struct Divisor {
    unsigned d, multiplier, shift;
};

__device__ __forceinline__ int operator/(int n, Divisor by) {
    return int((__umulhi(unsigned(n), by.multiplier) + unsigned(n)) >> by.shift);
}

__device__ __forceinline__ int operator%(int n, Divisor by) { return n - n / by * int(by.d); }

// The place of element i, a vector of V channels, in a batch of images whose pixels have `channels`
// values and are `step` values apart.
struct Pixels {
    Divisor vectors;  // channels / V
    int step;
};

__device__ __forceinline__ long long place(int i, Pixels p) {
    int pixel = i / p.vectors;
    return (long long)pixel * p.step + (long long)(i - pixel * int(p.vectors.d)) * V;
}

#define THREAD (blockIdx.x * blockDim.x + threadIdx.x)

// ---- sums over threads, in a fixed order --------------------------------------------------------

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int step = 16; step; step >>= 1) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int step = 16; step; step >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}

// ---- activations, and their gradients from the output (GELU's: from the input) ------------------

// Those after RELU6 are in activation.cu: they would take registers from kernels that do more.
enum Activation {
    NONE,
    RELU,
    SIGMOID,
    TANH,
    SCALED_TANH,
    GELU,
    RELU6,
    LEAKY_RELU,
    ELU,
    CLIP,
    HARD_SIGMOID,
    HARD_SWISH,
    SILU,
    GELU_TANH
};

#define AMPLITUDE 1.7159f
#define SLOPE (2.0f / 3.0f)

// The normal distribution function from bell = exp(-x * x / 2), as in cpu/engine/simd/functions.py:
// erfcf would take half as many registers again.
__device__ __forceinline__ float normal_cdf(float x, float bell) {
    float k = 1.0f / (1.0f + 0.3f * fabsf(x)), p = 0.0356749204f;
    p = p * k - 0.157203532f;
    p = p * k + 0.206354015f;
    p = p * k - 0.0536838762f;
    p = p * k + 0.128561628f;
    p = p * k + 0.0999135271f;
    p = p * k + 0.120753945f;
    p = p * k + 0.1196293f;
    float below = p * k * bell;
    return x > 0 ? 1.0f - below : below;
}

// x limited to [low, high]; NaN stays NaN.
__device__ __forceinline__ float clamp(float x, float low, float high) {
    return x < low ? low : x > high ? high : x;
}

__device__ __forceinline__ float activate(float x, int activation) {
    switch (activation) {
        case RELU: return x > 0 || x != x ? x : 0.0f;
        case RELU6: return clamp(x, 0.0f, 6.0f);
        case SIGMOID: {
            float decay = expf(-fabsf(x));
            return (x >= 0 ? 1.0f : decay) / (1.0f + decay);
        }
        case TANH: return tanhf(x);
        case SCALED_TANH: return AMPLITUDE * tanhf(SLOPE * x);
        case GELU: return x * normal_cdf(x, expf(-0.5f * x * x));
        default: return x;
    }
}

// The same for NONE, RELU and RELU6 alone, in a product's epilogue.
__device__ __forceinline__ float bounded(float x, int activation) {
    if (activation != NONE) x = activate(x, RELU);
    return activation == RELU6 && x > 6.0f ? 6.0f : x;
}

__device__ __forceinline__ float activation_grad(float dy, float y, int activation) {
    switch (activation) {
        case RELU: return y > 0 ? dy : 0.0f * dy;
        case RELU6: return y <= 0 || y >= 6.0f ? 0.0f : dy;
        case SIGMOID: return dy * y * (1.0f - y);
        // 1 - y is exact near saturation, where 1 - y * y has lost its digits.
        case TANH: return dy * ((1.0f - y) * (1.0f + y));
        case SCALED_TANH: return dy * (SLOPE / AMPLITUDE * (AMPLITUDE - y) * (AMPLITUDE + y));
        case GELU: {
            float bell = expf(-0.5f * y * y);
            return dy * (normal_cdf(y, bell) + 0.39894228f * y * bell);
        }
        default: return dy;
    }
}
