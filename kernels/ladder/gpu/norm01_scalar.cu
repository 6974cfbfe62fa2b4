// scalar: one block per channel, four bytes per access, a pass over memory for each step.
//
// Mean, variance, normalization and ReLU are the formula as it stands: six trips of x or y through
// memory. A block reads its channel of all pixels: of each sector of 32 bytes it uses four.
#include "norm.cuh"

extern "C" __global__ void __launch_bounds__(256)
    mean_of(const float* __restrict__ x, int pixels, int channels, float* mean) {
    SHARED(float, shared);
    float sum = 0;
#pragma unroll 4
    for (int m = threadIdx.x; m < pixels; m += 256) sum += x[m * channels + blockIdx.x];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) mean[blockIdx.x] = sum / pixels;
}

extern "C" __global__ void __launch_bounds__(256)
    variance_of(const float* __restrict__ x, int pixels, int channels, const float* mean,
                float* inverse) {
    SHARED(float, shared);
    float center = mean[blockIdx.x], sum = 0;
#pragma unroll 4
    for (int m = threadIdx.x; m < pixels; m += 256) {
        float apart = x[m * channels + blockIdx.x] - center;
        sum += apart * apart;
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) inverse[blockIdx.x] = inverse_deviation(sum, pixels);
}

extern "C" __global__ void __launch_bounds__(256)
    normalize(const float* __restrict__ x, int size, int channels, const float* mean,
              const float* inverse, const float* gamma, const float* beta, float* __restrict__ y) {
    int i = THREAD, c = i % channels;
    if (i < size) y[i] = (x[i] - mean[c]) * inverse[c] * gamma[c] + beta[c];
}

extern "C" __global__ void __launch_bounds__(256) rectify(float* y, int size) {
    int i = THREAD;
    if (i < size) y[i] = activate(y[i], RELU);
}
