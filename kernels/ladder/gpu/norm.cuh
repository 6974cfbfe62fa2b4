// What the rungs of batch norm share: sums over threads, and statistics that can be merged.
//
//     y = max((x - mean) / sqrt(variance + eps) * gamma + beta, 0)      x (pixels, C)
//
// with the mean and the variance of each channel over all pixels.
#pragma once
#include "common.cuh"

#define EPS 1e-5f

// The sum of a number of each of 256 threads, in all of them; `shared` has room for eight.
__device__ __forceinline__ float block_sum(float x, float* shared) {
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
    __syncthreads();
    float sum = 0;
    for (int warp = 0; warp < 8; warp++) sum += shared[warp];
    __syncthreads();  // the next sum may overwrite them
    return sum;
}

// Count, mean, and sum of (x - mean)^2 of some numbers.
struct Moments {
    float count, mean, squares;
};

// One number more (Welford 1962); inverse is 1 / (count + 1).
__device__ __forceinline__ void include(Moments& a, float x, float inverse) {
    float apart = x - a.mean;
    a.count += 1;
    a.mean += apart * inverse;
    a.squares += apart * (x - a.mean);
}

// The moments of two sets together (Chan, Golub & LeVeque 1983).
__device__ __forceinline__ Moments merged(Moments a, Moments b) {
    float count = a.count + b.count, share = count > 0 ? b.count / count : 0.0f;
    float apart = b.mean - a.mean;
    return {count, a.mean + apart * share,
            a.squares + b.squares + apart * apart * a.count * share};
}

__device__ __forceinline__ float inverse_deviation(float squares, float count) {
    return 1.0f / sqrtf(squares / count + EPS);
}

__device__ __forceinline__ float4 four(const float* p) {
    return *reinterpret_cast<const float4*>(p);
}
