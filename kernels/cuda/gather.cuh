// From global to shared memory: the tiles of A and B, and the copies of their numbers. Each thread copies the same columns of
// several rows of a tile: what it needs to know of them is worked out once a step, or once for all.
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

// Where a tile's element lies in shared memory; its rows are filled by copies of VEC numbers. The gap at each row's end lets a fragment's 32 reads fall on 32 banks.
template <bool K_INSIDE, int SIDE, int VEC_>
struct Tile {
    static constexpr int VEC = VEC_;
    static constexpr int ROWS = K_INSIDE ? SIDE : BK, COLUMNS = K_INSIDE ? BK : SIDE;
    static constexpr int PITCH = COLUMNS + (sizeof(operand) == 2 ? 8 : K_INSIDE ? 4 : 8);
    static constexpr int SIZE = ROWS * PITCH;
    __device__ static constexpr __forceinline__ int at(int side, int k) { return K_INSIDE ? side * PITCH + k : k * PITCH + side; }
    __device__ static constexpr __forceinline__ int bytes(int side, int k) { return at(side, k) * int(sizeof(operand)); }
};

// The first of the columns that this thread copies of a tile.
template <class T>
__device__ __forceinline__ int own_column() { return threadIdx.x % (T::COLUMNS / T::VEC) * T::VEC; }

// Copy them: from(row, inside) is the address of a row's.
template <class T, class F>
__device__ __forceinline__ void copy_tile(operand* to, F from) {
    constexpr int SLOTS = T::COLUMNS / T::VEC, STEP = BLOCK / SLOTS, COUNT = T::ROWS / STEP, TOGETHER_COPIED = COUNT < 8 ? COUNT : 8;
    static_assert(BLOCK % SLOTS == 0 && T::ROWS % STEP == 0, "threads and tile do not fit");
    int first = threadIdx.x / SLOTS;
    to += first * T::PITCH + own_column<T>();
#pragma unroll TOGETHER_COPIED
    for (int i = 0; i < COUNT; i++) {
        bool inside;
        const operand* source = from(first + i * STEP, inside);
        operand* place = to + i * STEP * T::PITCH;
        if (T::VEC * sizeof(operand) == 16) copy16(shared_address(place), source, inside);
        else if (sizeof(operand) == 4) copy4(shared_address(place), source, inside);
        else *place = inside ? *source : operand();
    }
}

// Rows that lie evenly in memory, `stride` numbers apart, the first `count` of them: weights, and dy where pixels are summed over.
template <class T>
__device__ __forceinline__ void copy_rows(operand* to, const operand* from, int stride, int count) {
    copy_tile<T>(to, [&](int row, bool& inside) {
        inside = row < count;
        return from + (long long)row * stride;
    });
}

// A tap (and channel) of a kernel, number k of `end`: how far from a patch's beginning it sees, in lines, columns, and pixels' indices.
struct Tap {
    int y, x, pixels, number, channel;
};

__device__ __forceinline__ Tap tap_of(int k, int end, const Product& g) {
    int tap = k / g.by_channels, i = tap / g.by_taps_x, y = i * g.tap_y, x = (tap - i * int(g.by_taps_x.d)) * g.tap_x;
    return {k < end ? y : 2 * OUTSIDE, x, y * g.width + x, tap, k - tap * g.channels};
}

// What the rows' patches have at one tap; `images` begin at its channel.
template <class T>
__device__ __forceinline__ void copy_patches(operand* to, const operand* images, const Tap& tap, const Row* rows, const Product& g) {
    copy_tile<T>(to, [&](int row, bool& inside) {
        Row at = rows[row];
        inside = unsigned(at.y + tap.y) < unsigned(g.height) && unsigned(at.x + tap.x) < unsigned(g.width);
        return images + (long long)(at.pixel + tap.pixels) * g.step;
    });
}
