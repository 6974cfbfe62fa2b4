// wgmma and TMA: tensor cores that read shared memory themselves, and a unit that copies boxes.
//
// In the rungs below, all threads compute addresses, and each number passes through registers. Here
// one thread starts all copies: a box of 8x8 pixels of two images, with zeros outside of them. Two
// warpgroups of 128 threads start products of 64x16 by 16x128 numbers, which the tensor cores read
// from shared memory. Barriers there tell who may go on: `full` that the bytes of a stage have
// arrived, `empty` that its products are done. C and K are multiples of 64. It needs a GPU of
// compute capability 9.0 (Hopper).
#include "problem.cuh"
#include "hopper.cuh"

#define SIDE 128  // pixels, and filters, of a block
#define INNER 64  // channels of a step
#define STAGES 4
#define TILE (SIDE * INNER)  // numbers of one operand's tile, in rows of 128 bytes

// The place of the tiles: swizzled rows repeat every 1,024 bytes.
__device__ __forceinline__ bf16* aligned(bf16* p) {
    return reinterpret_cast<bf16*>((reinterpret_cast<unsigned long long>(p) + 1023) & ~1023ull);
}

// The first pixel of this block's box.
struct Box {
    int v, h, n;
};

__device__ __forceinline__ Box own_box(const Problem& p) {
    int across = (p.width.d + 7) / 8, down = (p.height.d + 7) / 8, row = blockIdx.x / across;
    return {int(blockIdx.x) % across * 8, row % down * 8, row / down * 2};
}

// Start the copies of all steps, each as soon as its stage is empty.
__device__ __forceinline__ void produce(bf16* tiles, Barrier* full, Barrier* empty,
                                        const TensorMap* images, const TensorMap* weights,
                                        int steps, const Problem& p) {
    Box box = own_box(p);
    int pad = int(p.size.d) / 2;
    for (int step = 0; step < steps; step++) {
        int stage = step % STAGES, turn = step / STAGES;
        if (turn) wait_for(empty + stage, (turn - 1) % 2);
        bf16* a = tiles + stage * 2 * TILE;
        int tap = step * INNER / p.by_channels, c = step * INNER % p.by_channels;
        int i = tap / p.size, j = tap % p.size;
        expect_bytes(full + stage, 2 * TILE * int(sizeof(bf16)));
        load_box(a, images, full + stage, c, box.v + j - pad, box.h + i - pad, box.n);
        load_box(a + TILE, weights, full + stage, step * INNER, blockIdx.y * SIDE, 0, 0);
    }
}

// The weights (K, taps C) have the inner index last, as the patches.
extern "C" __global__ void __launch_bounds__(384)
    convolve(const __grid_constant__ TensorMap images, const __grid_constant__ TensorMap weights,
             const float* __restrict__ b, bf16* __restrict__ y, Problem p) {
    SHARED(bf16, raw);
    bf16* tiles = aligned(raw);  // [STAGES][2][TILE]
    Barrier *full = reinterpret_cast<Barrier*>(tiles + STAGES * 2 * TILE), *empty = full + STAGES;
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < STAGES; stage++) {
            barrier_init(full + stage, 1);
            barrier_init(empty + stage, 8);  // warps that multiply
        }
        barriers_ready();
    }
    __syncthreads();  // the barriers are initialized
    int steps = p.taps * p.channels / INNER, group = threadIdx.x / 128;
    if (group == 0) {
        if (threadIdx.x == 0) produce(tiles, full, empty, &images, &weights, steps, p);
        return;
    }
    float sums[64] = {};
    int first = (group - 1) * 64;  // of the pixels of this warpgroup
    for (int step = 0; step < steps; step++) {
        int stage = step % STAGES;
        const bf16* a = tiles + stage * 2 * TILE + first * INNER;
        const bf16* f = tiles + (stage * 2 + 1) * TILE;
        wait_for(full + stage, step / STAGES % 2);
        products_begin();
#pragma unroll
        for (int k = 0; k < INNER; k += 16) multiply(sums, operand(a + k), operand(f + k));
        products_close();
        products_arrive<0>();
        if (threadIdx.x % 32 == 0) arrive(empty + stage);
    }
    // A thread has two neighbors in two rows of each eight filters.
    Box box = own_box(p);
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, warp = threadIdx.x / 32 % 4;
#pragma unroll
    for (int i = 0; i < 32; i++) {
        int row = first + warp * 16 + i % 2 * 8 + g, k = blockIdx.y * SIDE + i / 2 * 8 + 2 * t;
        int v = box.v + row % 8, h = box.h + row / 8 % 8, n = box.n + row / 64;
        int m = (n * int(p.height.d) + h) * int(p.width.d) + v;
        if (v >= p.width.d || h >= p.height.d || m >= p.pixels || k >= p.filters) continue;
        const float* two = sums + 2 * i;
        *reinterpret_cast<unsigned*>(y + m * p.filters + k) =
            to_bf16(finished(two[0], b, k)).bits |
            unsigned(to_bf16(finished(two[1], b, k + 1)).bits) << 16;
    }
}
