// From registers to global memory. The kernel defines BM, BN, BK and VEC_C.
#pragma once
#include "product.cuh"

template <class T>
__device__ __forceinline__ void store_pair(T* p, float v0, float v1, bool second) {
    if (VEC_C == 2) {  // then everything is even
        struct alignas(2 * sizeof(T)) {
            T a, b;
        } pair = {from_float<T>(v0), from_float<T>(v1)};
        *reinterpret_cast<decltype(pair)*>(p) = pair;
    } else {
        p[0] = from_float<T>(v0);
        if (second) p[1] = from_float<T>(v1);
    }
}

// The part of the product that this block computes.
struct Part {
    int m, n, group, split, first, last;
};

__device__ __forceinline__ Part part_of(const Product& g) {
    int tile_m = blockIdx.x / g.tiles_n, tile_n = blockIdx.x % g.tiles_n,
        group = blockIdx.z / g.splits, split = blockIdx.z % g.splits;
    int steps = (g.k + BK - 1) / BK, each = steps / g.splits,
        more = steps % g.splits;  // the first parts have a step more
    int first = split * each + min(split, more);
    return {tile_m * BM, tile_n * BN, group, split, first, first + each + (split < more)};
}

// Write the block's part of C to `out`, or to the split's part of `partial` [split][m][all groups'
// n].
template <class T, class M>
__device__ __forceinline__ void deliver(M& product, const Part& part, const Product& g,
                                        const Epilogue& epilogue, T* out, float* partial,
                                        const Row* rows) {
    int all = g.out_group * int(gridDim.z / g.splits), first = part.group * g.out_group + part.n;
    product.each_pair([&](int row, int column, float& v0, float& v1) {
        int m = part.m + row, n = part.n + column, at = first + column;
        if (m >= g.m || n >= g.n) return;
        bool second = n + 1 < g.n;
        long long target = rows ? rows[row].target : m;
        if (partial) {
            store_pair(partial + ((long long)part.split * g.m + m) * all + at, v0, v1, second);
            return;
        }
        v0 = finished(v0, target, at, epilogue, g);
        if (second) v1 = finished(v1, target, at + 1, epilogue, g);
        store_pair(out + target * g.out_step + at, v0, v1, second);
    });
}
