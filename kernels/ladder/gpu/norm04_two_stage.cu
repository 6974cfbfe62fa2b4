// two stages: many blocks share the pixels of a channel, and their moments are merged.
//
// A card needs megabytes on their way at any time. Here each of gridDim.y blocks takes a part of
// the pixels, as many as fill the card, and a second kernel merges the parts, in a fixed order. A
// block is eight vectors wide, whole lines of 128 bytes, and 32 rows high. C is a multiple of 32.
#include "norm.cuh"

extern "C" __global__ void __launch_bounds__(256)
    moments(const float* __restrict__ x, int pixels, int channels, Moments* __restrict__ parts) {
    SHARED(Moments, shared);  // [32 rows][32 channels]
    int column = threadIdx.x % 8 * 4, row = threadIdx.x / 8, c = blockIdx.x * 32 + column;
    Moments own[4] = {};
#pragma unroll 4
    for (int m = blockIdx.y * 32 + row; m < pixels; m += gridDim.y * 32) {
        float4 v = four(x + m * channels + c);
        float share = 1.0f / (own[0].count + 1);
        include(own[0], v.x, share), include(own[1], v.y, share);
        include(own[2], v.z, share), include(own[3], v.w, share);
    }
#pragma unroll
    for (int j = 0; j < 4; j++) shared[row * 32 + column + j] = own[j];
    __syncthreads();
    if (threadIdx.x >= 32) return;
    Moments all = shared[threadIdx.x];
    for (int r = 1; r < 32; r++) all = merged(all, shared[r * 32 + threadIdx.x]);
    parts[blockIdx.y * channels + blockIdx.x * 32 + threadIdx.x] = all;
}

extern "C" __global__ void __launch_bounds__(256)
    statistics(const Moments* __restrict__ parts, int count, int channels, float* mean,
               float* inverse) {
    int c = THREAD;
    if (c >= channels) return;
    Moments all = parts[c];
    for (int part = 1; part < count; part++) all = merged(all, parts[part * channels + c]);
    mean[c] = all.mean;
    inverse[c] = inverse_deviation(all.squares, all.count);
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
