// register tile: 4x4 results per thread, so that a number from shared memory is used four times.
//
// With one result per thread, each multiply-add reads two numbers from shared memory. A 4x4 tile
// reads eight for sixteen. 256 threads compute 64 rows of 64 filters. C and K are multiples of 16.
#include "problem.cuh"

#define SIDE 64           // rows, and filters, of a block
#define INNER 16          // channels of a step; pixels, in grad_weight
#define OWN 4             // rows, and filters, of a thread, 16 apart
#define PITCH (SIDE + 1)  // so that turned patches are written to different banks

// sums += a^T b of one step, a and b [INNER][PITCH].
__device__ __forceinline__ void multiply(const float* a, const float* b, float (&sums)[OWN][OWN]) {
    int row = threadIdx.x / 16, column = threadIdx.x % 16;
#pragma unroll
    for (int e = 0; e < INNER; e++) {
        float left[OWN], right[OWN];
#pragma unroll
        for (int i = 0; i < OWN; i++) {
            left[i] = a[e * PITCH + row + 16 * i];
            right[i] = b[e * PITCH + column + 16 * i];
        }
#pragma unroll
        for (int i = 0; i < OWN; i++)
#pragma unroll
            for (int j = 0; j < OWN; j++) sums[i][j] += left[i] * right[j];
    }
}

extern "C" __global__ void __launch_bounds__(256)
    convolve(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b,
             float* __restrict__ y, Problem p) {
    SHARED(float, patches);
    float* weights = patches + INNER * PITCH;
    int t = threadIdx.x, first = blockIdx.x * SIDE, filter = blockIdx.y * SIDE;
    int k = filter + t % SIDE;  // whose weights this thread copies
    float sums[OWN][OWN] = {};
    for (int tap = 0; tap < p.taps; tap++) {
        int from[OWN];
#pragma unroll
        for (int i = 0; i < OWN; i++) from[i] = neighbor(first + t / 16 + 16 * i, tap, p);
        for (int c = 0; c < p.channels; c += INNER) {
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                int channel = c + t % 16, e = t / SIDE + 4 * i;
                patches[t % 16 * PITCH + t / 16 + 16 * i] =
                    from[i] < 0 ? 0.0f : x[from[i] * p.channels + channel];
                weights[e * PITCH + t % SIDE] =
                    k < p.filters ? w[(tap * p.channels + c + e) * p.filters + k] : 0.0f;
            }
            __syncthreads();  // the tiles are complete
            multiply(patches, weights, sums);
            __syncthreads();  // nobody reads them any more
        }
    }
#pragma unroll
    for (int i = 0; i < OWN; i++)
#pragma unroll
        for (int j = 0; j < OWN; j++) {
            int m = first + t / 16 + 16 * i, own = filter + t % 16 + 16 * j;
            if (m < p.pixels && own < p.filters)
                y[m * p.filters + own] = finished(sums[i][j], b, own);
        }
}

extern "C" __global__ void __launch_bounds__(256)
    grad_weight(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ dw,
                Problem p) {
    SHARED(float, patches);
    float* gradients = patches + INNER * PITCH;
    int t = threadIdx.x, first = blockIdx.x * SIDE, filter = blockIdx.y * SIDE;
    int rows = p.taps * p.channels, row = first + t % SIDE, k = filter + t % SIDE;
    int tap = row / p.by_channels, c = row % p.by_channels;  // that this thread copies
    float sums[OWN][OWN] = {};
    for (int start = 0; start < p.pixels; start += INNER) {
#pragma unroll
        for (int i = 0; i < OWN; i++) {
            int e = t / SIDE + 4 * i, m = start + e, from = neighbor(m, tap, p);
            patches[e * PITCH + t % SIDE] =
                from < 0 || row >= rows ? 0.0f : x[from * p.channels + c];
            gradients[e * PITCH + t % SIDE] =
                m < p.pixels && k < p.filters ? dy[m * p.filters + k] : 0.0f;
        }
        __syncthreads();  // the tiles are complete
        multiply(patches, gradients, sums);
        __syncthreads();  // nobody reads them any more
    }
#pragma unroll
    for (int i = 0; i < OWN; i++)
#pragma unroll
        for (int j = 0; j < OWN; j++) {
            int own = first + t / 16 + 16 * i, f = filter + t % 16 + 16 * j;
            if (own < rows && f < p.filters) dw[own * p.filters + f] = sums[i][j];
        }
}
