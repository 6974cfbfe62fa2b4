// tensor cores: a warp multiplies 16x8 numbers by 8x8 in one instruction, rounded to tf32.
//
// mma.sync distributes its operands over the registers of a warp's 32 threads (tensor_core.cuh says
// how). Each thread reads its numbers from shared memory one by one, and rounds them to the 10 bits
// of mantissa of tf32. Eight warps compute 128 rows of 128 filters. C and K are multiples of 16.
#include "problem.cuh"
#include "tensor_core.cuh"

#define SIDE 128          // rows, and filters, of a block
#define INNER 16          // channels of a step; pixels, in grad_weight
#define PITCH 20          // of 16 channels, and WIDE of 128 filters: the gaps spread the 32
#define WIDE (SIDE + 8)   // numbers that a warp reads over the 32 banks
#define A (SIDE * PITCH)  // numbers of the patches' buffer, in the larger of the two layouts
#define STAGE (A + INNER * WIDE)

typedef float Sums[2][8][4];  // 2x8 tiles of 16x8 numbers, of which a thread has four

// Each of the eight warps computes 32 rows of 64 filters.
__device__ __forceinline__ int own_row() { return threadIdx.x / 64 * 32; }
__device__ __forceinline__ int own_column() { return threadIdx.x / 32 % 2 * 64; }

// sums += a b of one step. In a, the next row is ROW numbers further, the next inner index NEXT.
template <int ROW, int NEXT>
__device__ __forceinline__ void multiply(const float* a, const float* b, Sums& sums) {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int e = 0; e < INNER; e += 8) {
        unsigned left[2][4], right[8][2];
#pragma unroll
        for (int i = 0; i < 8; i++)
            left[i / 4][i % 4] = to_tf32(a[(own_row() + i / 4 * 16 + i % 2 * 8 + g) * ROW +
                                           (e + i % 4 / 2 * 4 + t) * NEXT]);
#pragma unroll
        for (int j = 0; j < 16; j++)
            right[j / 2][j % 2] =
                to_tf32(b[(e + j % 2 * 4 + t) * WIDE + own_column() + j / 2 * 8 + g]);
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int j = 0; j < 8; j++) mma_tf32(sums[i][j], left[i], right[j]);
    }
}

// Add up all steps. copy(step, a, b) starts this thread's copies of a step.
template <int ROW, int NEXT, class Copy>
__device__ __forceinline__ void run(float* shared, int steps, Sums& sums, Copy copy) {
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

// Write this thread's results to the matrix `to` (rows, columns), two neighbors at a time.
__device__ __forceinline__ void write(const Sums& sums, float* to, int rows, int columns,
                                      const float* b) {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 16; j++) {
            int row = blockIdx.x * SIDE + own_row() + i * 16 + j % 2 * 8 + g;
            int k = blockIdx.y * SIDE + own_column() + j / 2 * 8 + 2 * t;
            if (row >= rows || k >= columns) continue;
            const float* two = sums[i][j / 2] + j % 2 * 2;
            *reinterpret_cast<float2*>(to + row * columns + k) =
                make_float2(finished(two[0], b, k), finished(two[1], b, k + 1));
        }
}

extern "C" __global__ void __launch_bounds__(256)
    convolve(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b,
             float* __restrict__ y, Problem p) {
    SHARED(float, shared);  // two stages: [SIDE pixels][PITCH], [INNER channels][WIDE]
    int t = threadIdx.x, column = t % 4 * 4, k = blockIdx.y * SIDE + t % 32 * 4;
    Sums sums = {};
    run<PITCH, 1>(shared, p.taps * p.channels / INNER, sums, [&](int step, float* a, float* f) {
        int tap = step * INNER / p.by_channels, c = step * INNER % p.by_channels + column;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int pixel = t / 4 + 64 * i, from = neighbor(blockIdx.x * SIDE + pixel, tap, p);
            copy16(shared_address(a + pixel * PITCH + column),
                   x + (from < 0 ? 0 : from * p.channels + c), from >= 0);
            int e = t / 32 + 8 * i;
            copy16(shared_address(f + e * WIDE + t % 32 * 4),
                   w + (k < p.filters ? (step * INNER + e) * p.filters + k : 0), k < p.filters);
        }
    });
    write(sums, y, p.pixels, p.filters, b);
}

extern "C" __global__ void __launch_bounds__(256)
    grad_weight(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ dw,
                Problem p) {
    SHARED(float, shared);  // two stages: [INNER pixels][WIDE rows], [INNER pixels][WIDE filters]
    int t = threadIdx.x, rows = p.taps * p.channels;
    int row = blockIdx.x * SIDE + t % 32 * 4, k = blockIdx.y * SIDE + t % 32 * 4;
    int tap = row / p.by_channels, c = row % p.by_channels;
    Sums sums = {};
    run<1, WIDE>(shared, (p.pixels + INNER - 1) / INNER, sums, [&](int step, float* a, float* g) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int e = t / 32 + 8 * i, m = step * INNER + e;
            int from = row < rows ? neighbor(m, tap, p) : -1;
            copy16(shared_address(a + e * WIDE + t % 32 * 4),
                   x + (from < 0 ? 0 : from * p.channels + c), from >= 0);
            bool inside = m < p.pixels && k < p.filters;
            copy16(shared_address(g + e * WIDE + t % 32 * 4),
                   dy + (inside ? m * p.filters + k : 0), inside);
        }
    });
    write(sums, dw, rows, p.filters, nullptr);
}
