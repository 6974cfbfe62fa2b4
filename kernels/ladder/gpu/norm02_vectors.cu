// vectors: 16 bytes per access, four channels per block.
//
// The same four passes. A block uses half of each sector instead of an eighth, and a thread has
// four times as many bytes on their way. But there are only a quarter of the blocks. C is a
// multiple of 4.
#include "norm.cuh"

extern "C" __global__ void __launch_bounds__(256)
    mean_of(const float* __restrict__ x, int pixels, int channels, float* mean) {
    SHARED(float, shared);
    int c = blockIdx.x * 4;
    float4 sum = {0, 0, 0, 0};
#pragma unroll 4
    for (int m = threadIdx.x; m < pixels; m += 256) {
        float4 v = four(x + m * channels + c);
        sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
    }
    float sums[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
    for (int j = 0; j < 4; j++) {
        float all = block_sum(sums[j], shared);
        if (threadIdx.x == 0) mean[c + j] = all / pixels;
    }
}

extern "C" __global__ void __launch_bounds__(256)
    variance_of(const float* __restrict__ x, int pixels, int channels, const float* mean,
                float* inverse) {
    SHARED(float, shared);
    int c = blockIdx.x * 4;
    float4 center = four(mean + c), sum = {0, 0, 0, 0};
#pragma unroll 4
    for (int m = threadIdx.x; m < pixels; m += 256) {
        float4 v = four(x + m * channels + c);
        v.x -= center.x, v.y -= center.y, v.z -= center.z, v.w -= center.w;
        sum.x += v.x * v.x, sum.y += v.y * v.y, sum.z += v.z * v.z, sum.w += v.w * v.w;
    }
    float sums[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
    for (int j = 0; j < 4; j++) {
        float all = block_sum(sums[j], shared);
        if (threadIdx.x == 0) inverse[c + j] = inverse_deviation(all, pixels);
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
    *reinterpret_cast<float4*>(y + i * 4) = {
        (v.x - m.x) * s.x * g.x + b.x, (v.y - m.y) * s.y * g.y + b.y,
        (v.z - m.z) * s.z * g.z + b.z, (v.w - m.w) * s.w * g.w + b.w};
}

extern "C" __global__ void __launch_bounds__(256) rectify(float* y, int size) {
    int i = THREAD;
    if (i >= size) return;
    float4 v = four(y + i * 4);
    *reinterpret_cast<float4*>(y + i * 4) = {activate(v.x, RELU), activate(v.y, RELU),
                                             activate(v.z, RELU), activate(v.w, RELU)};
}
