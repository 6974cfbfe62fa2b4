// cp.async: the next step is copied to shared memory while this one is multiplied.
//
// In the rungs below, each number passes through a register on its way, and the thread waits for
// it. cp.async needs neither the register nor the wait: two buffers take turns. The copies cannot
// turn the patches, whose rows therefore stay as they are in memory. C and K are multiples of 16.
#include "problem.cuh"
#include "tensor_core.cuh"

#define SIDE 128          // rows, and filters, of a block
#define INNER 16          // channels of a step; pixels, in grad_weight
#define OWN 8             // rows, and filters, of a thread: four, and the four 64 further on
#define PITCH 20          // of 16 channels: the gap spreads the rows over the banks
#define A (SIDE * PITCH)  // numbers of the patches' buffer
#define STAGE (A + INNER * SIDE)

__device__ __forceinline__ int own_row() { return threadIdx.x / 16 * 4; }
__device__ __forceinline__ int own_column() { return threadIdx.x % 16 * 4; }

// sums += a b of one step. In a, the next row is ROW numbers further, the next inner index NEXT.
template <int ROW, int NEXT>
__device__ __forceinline__ void multiply(const float* a, const float* b, float (&sums)[OWN][OWN]) {
#pragma unroll 4
    for (int e = 0; e < INNER; e++) {
        const float* from = b + e * SIDE + own_column();
        float4 b0 = four(from), b1 = four(from + 64);
        float left[OWN], right[OWN] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
        for (int i = 0; i < OWN; i++)
            left[i] = a[(own_row() + i % 4 + i / 4 * 64) * ROW + e * NEXT];
#pragma unroll
        for (int i = 0; i < OWN; i++)
#pragma unroll
            for (int j = 0; j < OWN; j++) sums[i][j] += left[i] * right[j];
    }
}

// Add up all steps. copy(step, a, b) starts this thread's copies of a step.
template <int ROW, int NEXT, class Copy>
__device__ __forceinline__ void run(float* shared, int steps, float (&sums)[OWN][OWN], Copy copy) {
    copy(0, shared, shared + A);
    close_copies();
    for (int step = 0; step < steps; step++) {
        float *full = shared + step % 2 * STAGE, *empty = shared + (step + 1) % 2 * STAGE;
        if (step + 1 < steps) copy(step + 1, empty, empty + A);
        close_copies();
        copies_arrive<1>();  // this thread's copies of this step
        __syncthreads();     // and those of all threads
        multiply<ROW, NEXT>(full, full + A, sums);
        __syncthreads();  // nobody reads this buffer any more
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
    SHARED(float, shared);  // two stages: [SIDE pixels][PITCH], [INNER channels][SIDE filters]
    int t = threadIdx.x, column = t % 4 * 4, k = blockIdx.y * SIDE + t % 32 * 4;
    float sums[OWN][OWN] = {};
    run<PITCH, 1>(shared, p.taps * p.channels / INNER, sums, [&](int step, float* a, float* f) {
        int tap = step * INNER / p.by_channels, c = step * INNER % p.by_channels + column;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int pixel = t / 4 + 64 * i, from = neighbor(blockIdx.x * SIDE + pixel, tap, p);
            copy16(shared_address(a + pixel * PITCH + column),
                   x + (from < 0 ? 0 : from * p.channels + c), from >= 0);
            int e = t / 32 + 8 * i;
            copy16(shared_address(f + e * SIDE + t % 32 * 4),
                   w + (k < p.filters ? (step * INNER + e) * p.filters + k : 0), k < p.filters);
        }
    });
    write(sums, y, p.pixels, p.filters, b);
}

extern "C" __global__ void __launch_bounds__(256)
    grad_weight(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ dw,
                Problem p) {
    SHARED(float, shared);  // two stages: [INNER pixels][SIDE rows], [INNER pixels][SIDE filters]
    int t = threadIdx.x, rows = p.taps * p.channels;
    int row = blockIdx.x * SIDE + t % 32 * 4, k = blockIdx.y * SIDE + t % 32 * 4;
    int tap = row / p.by_channels, c = row % p.by_channels;
    float sums[OWN][OWN] = {};
    run<1, SIDE>(shared, (p.pixels + INNER - 1) / INNER, sums, [&](int step, float* a, float* g) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int e = t / 32 + 8 * i, m = step * INNER + e;
            int from = row < rows ? neighbor(m, tap, p) : -1;
            copy16(shared_address(a + e * SIDE + t % 32 * 4),
                   x + (from < 0 ? 0 : from * p.channels + c), from >= 0);
            bool inside = m < p.pixels && k < p.filters;
            copy16(shared_address(g + e * SIDE + t % 32 * 4),
                   dy + (inside ? m * p.filters + k : 0), inside);
        }
    });
    write(sums, dw, rows, p.filters, nullptr);
}
