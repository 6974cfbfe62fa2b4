// vectors: 16 bytes per access to memory, and 8x8 results per thread.
//
// One instruction moves what took four before, so that fewer of them come between the
// multiply-adds. For this the patches are turned on their way into shared memory. 256 threads
// compute 128 rows of 128 filters. C and K are multiples of 8.
#include "problem.cuh"

#define SIDE 128  // rows, and filters, of a block
#define INNER 8   // channels of a step; pixels, in grad_weight
#define OWN 8     // rows, and filters, of a thread: four neighbors, and the four 64 further on

// The places of this thread's results: 0 and 64 rows (filters) further.
__device__ __forceinline__ int own_row() { return threadIdx.x / 16 * 4; }
__device__ __forceinline__ int own_column() { return threadIdx.x % 16 * 4; }

// sums += a^T b of one step, a and b [INNER][SIDE].
__device__ __forceinline__ void multiply(const float* a, const float* b, float (&sums)[OWN][OWN]) {
#pragma unroll
    for (int e = 0; e < INNER; e++) {
        const float *from_a = a + e * SIDE + own_row(), *from_b = b + e * SIDE + own_column();
        float4 a0 = four(from_a), a1 = four(from_a + 64), b0 = four(from_b), b1 = four(from_b + 64);
        float left[OWN] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
        float right[OWN] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
        for (int i = 0; i < OWN; i++)
#pragma unroll
            for (int j = 0; j < OWN; j++) sums[i][j] += left[i] * right[j];
    }
}

// Write this thread's results to the matrix `to` (rows, columns).
__device__ __forceinline__ void write(const float (&sums)[OWN][OWN], float* to, int rows,
                                      int columns, const float* b) {
#pragma unroll
    for (int i = 0; i < OWN; i++)
#pragma unroll
        for (int j = 0; j < OWN; j += 4) {
            int row = blockIdx.x * SIDE + own_row() + i % 4 + i / 4 * 64;
            int k = blockIdx.y * SIDE + own_column() + j * 16;
            if (row >= rows || k >= columns) continue;
            const float* v = sums[i] + j;
            float4 result = {finished(v[0], b, k), finished(v[1], b, k + 1),
                             finished(v[2], b, k + 2), finished(v[3], b, k + 3)};
            *reinterpret_cast<float4*>(to + row * columns + k) = result;
        }
}

extern "C" __global__ void __launch_bounds__(256)
    convolve(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b,
             float* __restrict__ y, Problem p) {
    SHARED(float, patches);
    float* weights = patches + INNER * SIDE;
    // This thread copies four channels of one pixel, and four filters of one channel.
    int t = threadIdx.x, m = blockIdx.x * SIDE + t / 2, own = t % 2 * 4;
    int e = t / 32, k = blockIdx.y * SIDE + t % 32 * 4;
    float sums[OWN][OWN] = {};
    for (int tap = 0; tap < p.taps; tap++) {
        int from = neighbor(m, tap, p);
        for (int c = 0; c < p.channels; c += INNER) {
            float4 patch = {0, 0, 0, 0}, weight = {0, 0, 0, 0};
            if (from >= 0) patch = four(x + from * p.channels + c + own);
            if (k < p.filters) weight = four(w + (tap * p.channels + c + e) * p.filters + k);
            patches[(own + 0) * SIDE + t / 2] = patch.x;
            patches[(own + 1) * SIDE + t / 2] = patch.y;
            patches[(own + 2) * SIDE + t / 2] = patch.z;
            patches[(own + 3) * SIDE + t / 2] = patch.w;
            *reinterpret_cast<float4*>(weights + e * SIDE + t % 32 * 4) = weight;
            __syncthreads();  // the tiles are complete
            multiply(patches, weights, sums);
            __syncthreads();  // nobody reads them any more
        }
    }
    write(sums, y, p.pixels, p.filters, b);
}

extern "C" __global__ void __launch_bounds__(256)
    grad_weight(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ dw,
                Problem p) {
    SHARED(float, patches);
    float* gradients = patches + INNER * SIDE;
    // This thread copies four neighboring rows, which are of one tap, and four filters of a pixel.
    int t = threadIdx.x, e = t / 32, rows = p.taps * p.channels;
    int row = blockIdx.x * SIDE + t % 32 * 4, k = blockIdx.y * SIDE + t % 32 * 4;
    int tap = row / p.by_channels, c = row % p.by_channels;
    float sums[OWN][OWN] = {};
    for (int start = 0; start < p.pixels; start += INNER) {
        int m = start + e, from = neighbor(m, tap, p);
        float4 patch = {0, 0, 0, 0}, gradient = {0, 0, 0, 0};
        if (from >= 0 && row < rows) patch = four(x + from * p.channels + c);
        if (m < p.pixels && k < p.filters) gradient = four(dy + m * p.filters + k);
        *reinterpret_cast<float4*>(patches + e * SIDE + t % 32 * 4) = patch;
        *reinterpret_cast<float4*>(gradients + e * SIDE + t % 32 * 4) = gradient;
        __syncthreads();  // the tiles are complete
        multiply(patches, gradients, sums);
        __syncthreads();  // nobody reads them any more
    }
    write(sums, dw, rows, p.filters, nullptr);
}
