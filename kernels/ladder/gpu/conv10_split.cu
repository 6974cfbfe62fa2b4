// split sum: several blocks share the sum over the pixels of one tile of the weights' gradient.
//
// 3x3x128x128 weights are nine tiles: nine blocks, on a card of 132 multiprocessors. Here each of
// gridDim.z blocks adds up a part of the pixels, and `add_parts` the parts, in a fixed order, so
// that the bits repeat. The other passes have a block for each tile of pixels, enough for any card,
// and are those of the rung below. C and K are multiples of 64.
#include "problem.cuh"
#include "tensor_core.cuh"

#define SIDE 128  // rows, and filters, of a block
#define INNER 64  // channels of a step; pixels, in grad_weight
#define A (SIDE * INNER)
#define STAGE (2 * A)
#define STAGES 3

typedef float Sums[4][8][4];  // 4x8 tiles of 16x8 numbers, of which a thread has four

// Each of the four warps computes 64 rows of 64 filters.
__device__ __forceinline__ int own_row() { return threadIdx.x / 64 * 64; }
__device__ __forceinline__ int own_column() { return threadIdx.x / 32 % 2 * 64; }

// The place of 16 bytes of a tile in shared memory.
__device__ __forceinline__ Shared place(const bf16* tile, int row, int column) {
    return shared_address(tile + row * SIDE + (column ^ row % 8 * 8));
}

// sums += a^T b of one step: a and b [INNER][SIDE].
__device__ __forceinline__ void multiply(const bf16* a, const bf16* b, Sums& sums) {
    // Lane l addresses row l % 8 of matrix l / 8.
    int l = threadIdx.x % 32, low = l % 8 + l / 8 % 2 * 8, high = l / 16 * 8;
    int same = l % 8 + high, other = l / 8 % 2 * 8;
#pragma unroll
    for (int e = 0; e < INNER; e += 16) {
        unsigned left[4][4], right[4][4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            ldmatrix_turned(left[i], place(a, e + same, own_row() + 16 * i + other));
#pragma unroll
        for (int j = 0; j < 4; j++)
            ldmatrix_turned(right[j], place(b, e + low, own_column() + 16 * j + high));
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 8; j++) {
                unsigned half[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
                mma_bf16(sums[i][j], left[i], half);
            }
    }
}

// Add up the steps [first, last). copy(step, a, b) starts this thread's copies of a step.
template <class Copy>
__device__ __forceinline__ void run(bf16* shared, int first, int last, Sums& sums, Copy copy) {
    for (int s = 0; s < STAGES - 1; s++) {
        if (first + s < last) copy(first + s, shared + s * STAGE, shared + s * STAGE + A);
        close_copies();  // a group for each step, empty or not
    }
    for (int step = first; step < last; step++) {
        int next = step + STAGES - 1;
        bf16* full = shared + (step - first) % STAGES * STAGE;
        bf16* empty = shared + (next - first) % STAGES * STAGE;
        copies_arrive<STAGES - 2>();  // this thread's copies of this step
        __syncthreads();              // and those of all threads, which have left the last step
        if (next < last) copy(next, empty, empty + A);
        close_copies();
        multiply(full, full + A, sums);
    }
}

// give(row, column, v0, v1) for each pair of neighbors among this thread's results.
template <class Give>
__device__ __forceinline__ void each_pair(const Sums& sums, Give give) {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 16; j++)
            give(blockIdx.x * SIDE + own_row() + i * 16 + j % 2 * 8 + g,
                 blockIdx.y * SIDE + own_column() + j / 2 * 8 + 2 * t,
                 sums[i][j / 2][j % 2 * 2], sums[i][j / 2][j % 2 * 2 + 1]);
}

extern "C" __global__ void __launch_bounds__(128)
    grad_weight(const bf16* __restrict__ x, const bf16* __restrict__ dy, float* __restrict__ parts,
                Problem p) {
    SHARED(bf16, shared);  // three stages: [INNER pixels][SIDE rows], [INNER pixels][SIDE filters]
    int t = threadIdx.x, rows = p.taps * p.channels, column = t % 16 * 8;
    int row = blockIdx.x * SIDE + column, k = blockIdx.y * SIDE + column;
    int tap = row / p.by_channels, c = row % p.by_channels;
    int steps = (p.pixels + INNER - 1) / INNER, share = (steps + gridDim.z - 1) / gridDim.z;
    int begin = blockIdx.z * share, end = min(begin + share, steps);
    Sums sums = {};
    run(shared, begin, end, sums, [&](int step, bf16* a, bf16* g) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            int e = t / 16 + 8 * i, m = step * INNER + e;
            int from = row < rows ? neighbor(m, tap, p) : -1;
            copy16(place(a, e, column), x + (from < 0 ? 0 : from * p.channels + c),
                   from >= 0);
            bool inside = m < p.pixels && k < p.filters;
            copy16(place(g, e, column), dy + (inside ? m * p.filters + k : 0), inside);
        }
    });
    float* own = parts + blockIdx.z * rows * p.filters;
    each_pair(sums, [&](int r, int f, float v0, float v1) {
        if (r < rows && f < p.filters)
            *reinterpret_cast<float2*>(own + r * p.filters + f) = make_float2(v0, v1);
    });
}

extern "C" __global__ void __launch_bounds__(256)
    add_parts(const float* __restrict__ parts, int count, int size, float* __restrict__ dw) {
    int i = THREAD;
    if (i >= size) return;
    float sum = 0;
    for (int part = 0; part < count; part++) sum += parts[part * size + i];
    dw[i] = sum;
}
