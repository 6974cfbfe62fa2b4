// fused: mean and variance in one pass, normalization and ReLU in another.
//
// Three trips through memory instead of six: x twice, y once. The variance does not wait for the
// mean, because Welford's update corrects both with each number. C is a multiple of 4.
#include "norm.cuh"

// The moments of all threads of the block, in thread 0.
__device__ __forceinline__ Moments block_moments(Moments own, Moments* shared) {
#pragma unroll
    for (int step = 16; step; step >>= 1)
        own = merged(own, {__shfl_xor_sync(0xffffffffu, own.count, step),
                           __shfl_xor_sync(0xffffffffu, own.mean, step),
                           __shfl_xor_sync(0xffffffffu, own.squares, step)});
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = own;
    __syncthreads();
    if (threadIdx.x == 0)
        for (int warp = 1; warp < 8; warp++) own = merged(own, shared[warp]);
    __syncthreads();  // the next moments may overwrite them
    return own;
}

extern "C" __global__ void __launch_bounds__(256)
    statistics(const float* __restrict__ x, int pixels, int channels, float* mean,
               float* inverse) {
    SHARED(Moments, shared);
    int c = blockIdx.x * 4;
    Moments own[4] = {};
#pragma unroll 4
    for (int m = threadIdx.x; m < pixels; m += 256) {
        float4 v = four(x + m * channels + c);
        float share = 1.0f / (own[0].count + 1);
        include(own[0], v.x, share), include(own[1], v.y, share);
        include(own[2], v.z, share), include(own[3], v.w, share);
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
        Moments all = block_moments(own[j], shared);
        if (threadIdx.x) continue;
        mean[c + j] = all.mean;
        inverse[c + j] = inverse_deviation(all.squares, all.count);
    }
}

// `size` vectors.
extern "C" __global__ void __launch_bounds__(256)
    normalize(const float* __restrict__ x, int size, int channels, const float* mean,
              const float* inverse, const float* gamma, const float* beta, float* __restrict__ y) {
    int i = THREAD, c = i % (channels / 4) * 4;
    if (i >= size) return;
    float4 v = four(x + i * 4), m = four(mean + c), s = four(inverse + c), g = four(gamma + c),
           b = four(beta + c);
    *reinterpret_cast<float4*>(y + i * 4) = {activate((v.x - m.x) * s.x * g.x + b.x, RELU),
                                             activate((v.y - m.y) * s.y * g.y + b.y, RELU),
                                             activate((v.z - m.z) * s.z * g.z + b.z, RELU),
                                             activate((v.w - m.w) * s.w * g.w + b.w, RELU)};
}
