// From global to shared memory: the tiles of A and B, and the copies of their numbers. Each thread
// copies the same columns of several rows of a tile, so that it computes their indices once per
// step.
#pragma once
#include "product.cuh"
#include "tensor_core.cuh"

#if PRECISION == BF16
typedef bf16 operand;
#else
typedef float operand;
#endif

#define WARPS (WARPS_M * WARPS_N)
#define BLOCK (32 * WARPS)

// The layout of a tile in shared memory. Copies of VEC numbers fill its rows. Because of the gap at
// the end of each row, the 32 reads of a fragment use 32 different banks.
template <bool K_INSIDE, int SIDE, int VEC_>
struct Tile {
    static constexpr int VEC = VEC_;
    static constexpr int ROWS = K_INSIDE ? SIDE : BK, COLUMNS = K_INSIDE ? BK : SIDE;
    static constexpr int PITCH = COLUMNS + (sizeof(operand) == 2 ? 8 : K_INSIDE ? 4 : 8);
    static constexpr int SIZE = ROWS * PITCH;
    __device__ static constexpr __forceinline__ int at(int side, int k) {
        return K_INSIDE ? side * PITCH + k : k * PITCH + side;
    }
    __device__ static constexpr __forceinline__ int bytes(int side, int k) {
        return at(side, k) * int(sizeof(operand));
    }
};

// The first column of a tile that this thread copies.
template <class T>
__device__ __forceinline__ int own_column() {
    return threadIdx.x % (T::COLUMNS / T::VEC) * T::VEC;
}

// Copy this thread's columns; from(row, inside) is their address in a row.
template <class T, class F>
__device__ __forceinline__ void copy_tile(operand* to, F from) {
    constexpr int SLOTS = T::COLUMNS / T::VEC, STEP = BLOCK / SLOTS, COUNT = T::ROWS / STEP,
                  UNROLLED = COUNT < 8 ? COUNT : 8;
    static_assert(BLOCK % SLOTS == 0 && T::ROWS % STEP == 0, "threads and tile do not fit");
    int first = threadIdx.x / SLOTS;
    to += first * T::PITCH + own_column<T>();
#pragma unroll UNROLLED
    for (int i = 0; i < COUNT; i++) {
        bool inside;
        const operand* source = from(first + i * STEP, inside);
        operand* place = to + i * STEP * T::PITCH;
        if (T::VEC * sizeof(operand) == 16) copy16(shared_address(place), source, inside);
        else if (sizeof(operand) == 4) copy4(shared_address(place), source, inside);
        else *place = inside ? *source : operand();
    }
}

// Copy the first `count` rows, `stride` numbers apart: of weights, or of dy in the weight gradient.
template <class T>
__device__ __forceinline__ void copy_rows(operand* to, const operand* from, int stride, int count) {
    copy_tile<T>(to, [&](int row, bool& inside) {
        inside = row < count;
        return from + (long long)row * stride;
    });
}

// Copy the patches' values at one tap; `images` points to its channel.
template <class T>
__device__ __forceinline__ void copy_patches(operand* to, const operand* images, const Tap& tap,
                                             const Row* rows, const Product& g) {
    copy_tile<T>(to, [&](int row, bool& inside) {
        Row at = rows[row];
        inside = unsigned(at.y + tap.y) < unsigned(g.height) &&
                 unsigned(at.x + tap.x) < unsigned(g.width);
        return images + (long long)(at.pixel + tap.pixels) * g.step;
    });
}
