// Sums over the pixels of each channel in a fixed order: biases' gradients, and those of batch
// norm.
#pragma once
#include "common.cuh"

// partial[chunk][s][c] = sum of value(pixel, c)[s] over the chunk's pixels.
//
// A block has (columns, rows) threads: threadIdx.x is along channels, so that a warp reads
// neighboring addresses. The rows, threadIdx.y, and the chunks, blockIdx.y, share the pixels.
template <int S, class F>
__device__ __forceinline__ void column_sums(F value, int pixels, int channels, float* partial) {
    SHARED(float, rows);  // [blockDim.y][S][blockDim.x * V]
    int column = blockIdx.x * blockDim.x + threadIdx.x, width = blockDim.x * V;
    Vector sum[S];
#pragma unroll
    for (int s = 0; s < S; s++) sum[s] = splat(0);
    if (column * V < channels)
        for (int pixel = blockIdx.y * blockDim.y + threadIdx.y; pixel < pixels;
             pixel += gridDim.y * blockDim.y) {
            Vector v[S];
            value(pixel, column * V, v);
#pragma unroll
            for (int s = 0; s < S; s++)
                EACH_LANE(i) sum[s].at[i] += v[s].at[i];
        }
#pragma unroll
    for (int s = 0; s < S; s++)
        EACH_LANE(i) rows[(threadIdx.y * S + s) * width + threadIdx.x * V + i] = sum[s].at[i];
    __syncthreads();
    for (int j = threadIdx.y * blockDim.x + threadIdx.x; j < S * width;
         j += blockDim.x * blockDim.y) {
        float total = 0;
        for (int row = 0; row < int(blockDim.y); row++) total += rows[row * S * width + j];
        int s = j / width, c = blockIdx.x * width + j % width;
        if (c < channels) partial[((long long)blockIdx.y * S + s) * channels + c] = total;
    }
}

// The sum over all chunks of number s of `sums` per channel.
__device__ __forceinline__ float total_of(const float* partial, int chunks, int sums, int s,
                                          int channels, int c) {
    double total = 0;
    for (int chunk = 0; chunk < chunks; chunk++)
        total += partial[((long long)chunk * sums + s) * channels + c];
    return float(total);
}
