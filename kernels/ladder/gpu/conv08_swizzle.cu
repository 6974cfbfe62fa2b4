// bf16, ldmatrix, swizzle: a warp reads four 8x8 matrices of 16-bit numbers in one instruction.
//
// bf16 halves all bytes and doubles the rate of the tensor cores. ldmatrix reads rows of 16 bytes,
// and turns a matrix on its way into the registers if asked. Eight such rows of a tile, one below
// the other, would lie in the same banks: chunk j of row i is therefore stored at j ^ i % 8, which
// needs no gaps. C and K are multiples of 64.
#include "problem.cuh"
#include "tensor_core.cuh"

#define SIDE 128  // rows, and filters, of a block
#define INNER 64  // channels of a step; pixels, in grad_weight
#define A (SIDE * INNER)
#define STAGE (2 * A)

typedef float Sums[2][8][4];  // 2x8 tiles of 16x8 numbers, of which a thread has four

// Each of the eight warps computes 32 rows of 64 filters.
__device__ __forceinline__ int own_row() { return threadIdx.x / 64 * 32; }
__device__ __forceinline__ int own_column() { return threadIdx.x / 32 % 2 * 64; }

// The place of 16 bytes in a tile, with rows of COLUMNS numbers, in shared memory.
template <int COLUMNS>
__device__ __forceinline__ Shared place(const bf16* tile, int row, int column) {
    return shared_address(tile + row * COLUMNS + (column ^ row % 8 * 8));
}

// sums += a b of one step: a [SIDE][INNER], or TURNED [INNER][SIDE]; b [INNER][SIDE].
template <bool TURNED>
__device__ __forceinline__ void multiply(const bf16* a, const bf16* b, Sums& sums) {
    // Lane l addresses row l % 8 of matrix l / 8.
    int l = threadIdx.x % 32, low = l % 8 + l / 8 % 2 * 8, high = l / 16 * 8;
    int same = l % 8 + l / 16 * 8, other = l / 8 % 2 * 8;
#pragma unroll
    for (int e = 0; e < INNER; e += 16) {
        unsigned left[2][4], right[4][4];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int row = own_row() + 16 * i;
            if (TURNED) ldmatrix_turned(left[i], place<SIDE>(a, e + same, row + other));
            else ldmatrix(left[i], place<INNER>(a, row + low, e + high));
        }
#pragma unroll
        for (int j = 0; j < 4; j++)
            ldmatrix_turned(right[j], place<SIDE>(b, e + low, own_column() + 16 * j + high));
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int j = 0; j < 8; j++) {
                unsigned half[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
                mma_bf16(sums[i][j], left[i], half);
            }
    }
}

// Add up all steps. copy(step, a, b) starts this thread's copies of a step.
template <bool TURNED, class Copy>
__device__ __forceinline__ void run(bf16* shared, int steps, Sums& sums, Copy copy) {
    copy(0, shared, shared + A);
    close_copies();
    for (int step = 0; step < steps; step++) {
        bf16 *full = shared + step % 2 * STAGE, *empty = shared + (step + 1) % 2 * STAGE;
        if (step + 1 < steps) copy(step + 1, empty, empty + A);
        close_copies();
        copies_arrive<1>();  // this thread's copies of this step
        __syncthreads();     // and those of all threads
        multiply<TURNED>(full, full + A, sums);
        __syncthreads();  // nobody reads this buffer any more
    }
}

// give(row, column, v0, v1) for each pair of neighbors among this thread's results.
template <class Give>
__device__ __forceinline__ void each_pair(const Sums& sums, Give give) {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 16; j++)
            give(blockIdx.x * SIDE + own_row() + i * 16 + j % 2 * 8 + g,
                 blockIdx.y * SIDE + own_column() + j / 2 * 8 + 2 * t,
                 sums[i][j / 2][j % 2 * 2], sums[i][j / 2][j % 2 * 2 + 1]);
}

extern "C" __global__ void __launch_bounds__(256, 1)
    convolve(const bf16* __restrict__ x, const bf16* __restrict__ w, const float* __restrict__ b,
             bf16* __restrict__ y, Problem p) {
    SHARED(bf16, shared);  // two stages: [SIDE pixels][INNER channels], [INNER channels][SIDE]
    int t = threadIdx.x, column = t % 8 * 8, k = blockIdx.y * SIDE + t % 16 * 8;
    Sums sums = {};
    run<false>(shared, p.taps * p.channels / INNER, sums, [&](int step, bf16* a, bf16* f) {
        int tap = step * INNER / p.by_channels, c = step * INNER % p.by_channels + column;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int pixel = t / 8 + 32 * i, from = neighbor(blockIdx.x * SIDE + pixel, tap, p);
            copy16(place<INNER>(a, pixel, column), x + (from < 0 ? 0 : from * p.channels + c),
                   from >= 0);
            int e = t / 16 + 16 * i;
            copy16(place<SIDE>(f, e, t % 16 * 8),
                   w + (k < p.filters ? (step * INNER + e) * p.filters + k : 0), k < p.filters);
        }
    });
    each_pair(sums, [&](int m, int f, float v0, float v1) {
        if (m >= p.pixels || f >= p.filters) return;
        *reinterpret_cast<unsigned*>(y + m * p.filters + f) =
            to_bf16(finished(v0, b, f)).bits | unsigned(to_bf16(finished(v1, b, f + 1)).bits) << 16;
    });
}

extern "C" __global__ void __launch_bounds__(256, 1)
    grad_weight(const bf16* __restrict__ x, const bf16* __restrict__ dy, float* __restrict__ dw,
                Problem p) {
    SHARED(bf16, shared);  // two stages: [INNER pixels][SIDE rows], [INNER pixels][SIDE filters]
    int t = threadIdx.x, rows = p.taps * p.channels, column = t % 16 * 8;
    int row = blockIdx.x * SIDE + column, k = blockIdx.y * SIDE + column;
    int tap = row / p.by_channels, c = row % p.by_channels;
    Sums sums = {};
    run<true>(shared, (p.pixels + INNER - 1) / INNER, sums, [&](int step, bf16* a, bf16* g) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int e = t / 16 + 16 * i, m = step * INNER + e;
            int from = row < rows ? neighbor(m, tap, p) : -1;
            copy16(place<SIDE>(a, e, column), x + (from < 0 ? 0 : from * p.channels + c),
                   from >= 0);
            bool inside = m < p.pixels && k < p.filters;
            copy16(place<SIDE>(g, e, column), dy + (inside ? m * p.filters + k : 0), inside);
        }
    });
    each_pair(sums, [&](int r, int f, float v0, float v1) {
        if (r < rows && f < p.filters)
            *reinterpret_cast<float2*>(dw + r * p.filters + f) = make_float2(v0, v1);
    });
}
