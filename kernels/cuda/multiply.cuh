// The product of one tile, on the ordinary units or on tensor cores: fragments from shared memory,
// sums in registers.
#pragma once
#include "gather.cuh"

#define WM (BM / WARPS_M)
#define WN (BN / WARPS_N)
#define MI (WM / 16)
#define NI (WN / 8)

template <bool A_K_INSIDE, bool B_K_INSIDE>
struct Multiplier {
    typedef Tile<A_K_INSIDE, BM, VEC_A> A;
    typedef Tile<B_K_INSIDE, BN, VEC_B> B;
    static constexpr int STAGE = A::SIZE + B::SIZE, SIZE = STAGES * STAGE;
    float sum[MI][NI][4];

    __device__ __forceinline__ Multiplier() {
#pragma unroll
        for (int i = 0; i < MI * NI * 4; i++) (&sum[0][0][0])[i] = 0;
    }

    __device__ __forceinline__ int lane() const { return threadIdx.x % 32; }
    __device__ __forceinline__ int first_row() const { return threadIdx.x / 32 / WARPS_N * WM; }
    __device__ __forceinline__ int first_column() const { return threadIdx.x / 32 % WARPS_N * WN; }

#if PRECISION == BF16
    __device__ __forceinline__ void add(const operand* a, const operand* b) {
        // Lane l addresses row l % 8 of the 8x8 matrix l / 8. The four matrices are, of A, (upper,
        // lower) x (first k, last k), and of B the transpose of that arrangement.
        int l = lane(), low = l % 8 + l / 8 % 2 * 8, high = l / 16 * 8, same = l % 8 + l / 16 * 8,
            other = l / 8 % 2 * 8;
        int m = first_row(), n = first_column();
        Shared from_a =
            shared_address(a + (A_K_INSIDE ? A::at(m + low, high) : A::at(m + other, same)));
        Shared from_b =
            shared_address(b + (B_K_INSIDE ? B::at(n + same, other) : B::at(n + high, low)));
#pragma unroll
        for (int k = 0; k < BK; k += 16) {
            unsigned fa[MI][4], fb[NI][2];
#pragma unroll
            for (int i = 0; i < MI; i++) {
                if (A_K_INSIDE) ldmatrix(fa[i], from_a + A::bytes(i * 16, k));
                else ldmatrix_turned(fa[i], from_a + A::bytes(i * 16, k));
            }
#pragma unroll
            for (int j = 0; j < NI; j += 2) {
                unsigned two[4];
                if (B_K_INSIDE) ldmatrix(two, from_b + B::bytes(j * 8, k));
                else ldmatrix_turned(two, from_b + B::bytes(j * 8, k));
                fb[j][0] = two[0], fb[j][1] = two[1], fb[j + 1][0] = two[2], fb[j + 1][1] = two[3];
            }
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int j = 0; j < NI; j++) mma_bf16(sum[i][j], fa[i], fb[j]);
        }
    }
#elif PRECISION == FFMA
    // Each thread computes the numbers that a tensor core would leave in its registers.
    __device__ __forceinline__ void add(const operand* a, const operand* b) {
        int g = lane() / 4, t = lane() % 4;
#pragma unroll 4
        for (int k = 0; k < BK; k++) {
            float fa[MI][2], fb[NI][2];
#pragma unroll
            for (int i = 0; i < MI * 2; i++)
                fa[i / 2][i % 2] = a[A::at(first_row() + i * 8 + g, k)];
#pragma unroll
            for (int j = 0; j < NI * 2; j++)
                fb[j / 2][j % 2] = b[B::at(first_column() + j / 2 * 8 + 2 * t + j % 2, k)];
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int j = 0; j < NI; j++)
#pragma unroll
                    for (int e = 0; e < 4; e++) sum[i][j][e] += fa[i][e / 2] * fb[j][e % 2];
        }
    }
#else
    // The fragments of k ... k + 7. ldmatrix moves 8x8 matrices of 16-bit numbers, whose rows of 16
    // bytes are also rows of 8x4 matrices of floats.
    __device__ __forceinline__ void fragments(const operand* a, const operand* b, int k,
                                              float (&fa)[MI][4], float (&fb)[NI][2]) {
        int l = lane(), g = l / 4, t = l % 4;
#pragma unroll
        for (int i = 0; i < MI; i++) {
            if (A_K_INSIDE) {
                unsigned four[4];
                ldmatrix(four, shared_address(a + A::at(first_row() + l % 16, l / 16 * 4)) +
                                   A::bytes(i * 16, k));
#pragma unroll
                for (int e = 0; e < 4; e++) fa[i][e] = __uint_as_float(four[e]);
            } else {
#pragma unroll
                for (int e = 0; e < 4; e++)
                    fa[i][e] =
                        (a + A::at(first_row() + g, t))[A::at(i * 16 + e % 2 * 8, k + e / 2 * 4)];
            }
        }
#pragma unroll
        for (int j = 0; j < NI; j += 2) {
            if (B_K_INSIDE) {
                unsigned four[4];
                ldmatrix(four, shared_address(
                                   b + B::at(first_column() + l % 8 + l / 16 * 8, l / 8 % 2 * 4)) +
                                   B::bytes(j * 8, k));
#pragma unroll
                for (int e = 0; e < 4; e++) fb[j + e / 2][e % 2] = __uint_as_float(four[e]);
            } else {
#pragma unroll
                for (int e = 0; e < 4; e++)
                    fb[j + e / 2][e % 2] =
                        (b + B::at(first_column() + g, t))[B::at((j + e / 2) * 8, k + e % 2 * 4)];
            }
        }
    }

    __device__ __forceinline__ void add(const operand* a, const operand* b) {
#if PRECISION == TF32X3
        // The tensor core truncates its sums. It adds up only one step; the long sum is added
        // outside of it, with correct rounding.
        float part[MI][NI][4] = {};
#endif
#pragma unroll
        for (int k = 0; k < BK; k += 8) {
            float fa[MI][4], fb[NI][2];
            fragments(a, b, k, fa, fb);
            unsigned a1[MI][4], b1[NI][2];
#pragma unroll
            for (int i = 0; i < MI * 4; i++) a1[i / 4][i % 4] = to_tf32(fa[i / 4][i % 4]);
#pragma unroll
            for (int j = 0; j < NI * 2; j++) b1[j / 2][j % 2] = to_tf32(fb[j / 2][j % 2]);
#if PRECISION == TF32
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int j = 0; j < NI; j++) mma_tf32(sum[i][j], a1[i], b1[j]);
#else
            // The remainder of the rounding; mma uses only its first bits.
            unsigned a2[MI][4], b2[NI][2];
#pragma unroll
            for (int i = 0; i < MI * 4; i++)
                a2[i / 4][i % 4] =
                    __float_as_uint(fa[i / 4][i % 4] - __uint_as_float(a1[i / 4][i % 4]));
#pragma unroll
            for (int j = 0; j < NI * 2; j++)
                b2[j / 2][j % 2] =
                    __float_as_uint(fb[j / 2][j % 2] - __uint_as_float(b1[j / 2][j % 2]));
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int j = 0; j < NI; j++) {
                    mma_tf32(part[i][j], a2[i], b1[j]);
                    mma_tf32(part[i][j], a1[i], b2[j]);
                    mma_tf32(part[i][j], a1[i], b1[j]);
                }
#endif
        }
#if PRECISION == TF32X3
#pragma unroll
        for (int i = 0; i < MI * NI * 4; i++) (&sum[0][0][0])[i] += (&part[0][0][0])[i];
#endif
    }
#endif

    // Add up the steps [first, last) of BK inner indices. load(step, a, b) starts the copies of a
    // step; a barrier of all threads comes before each call. also(b) may read B of each step.
    template <class F, class G>
    __device__ __forceinline__ void run(operand* shared, int first, int last, F load, G also) {
#pragma unroll 1
        for (int s = 0; s < STAGES - 1; s++) {
            __syncthreads();  // rows that the copies need are written
            if (first + s < last) load(first + s, shared + s * STAGE, shared + s * STAGE + A::SIZE);
            close_copies();
        }
        operand *full = shared, *empty = shared + (STAGES - 1) * STAGE;
#pragma unroll 1
        for (int step = first; step < last; step++) {
            copies_arrive<STAGES - 2>();
            __syncthreads();  // all copies of this step have arrived; the next stage is free
            int next = step + STAGES - 1;
            if (next < last) load(next, empty, empty + A::SIZE);
            close_copies();
            also(full + A::SIZE);
            add(full, full + A::SIZE);
            empty = full;
            full = full == shared + (STAGES - 1) * STAGE ? shared : full + STAGE;
        }
    }

    template <class F>
    __device__ __forceinline__ void run(operand* shared, int first, int last, F load) {
        run(shared, first, last, load, [](const operand*) {});
    }

    // give(row, column, v0, v1) for each pair of neighbors in this thread's registers.
    template <class F>
    __device__ __forceinline__ void each_pair(F give) {
#pragma unroll
        for (int i = 0; i < MI; i++)
#pragma unroll
            for (int j = 0; j < NI; j++)
#pragma unroll
                for (int half = 0; half < 2; half++)
                    give(first_row() + i * 16 + half * 8 + lane() / 4,
                         first_column() + j * 8 + lane() % 4 * 2, sum[i][j][half * 2],
                         sum[i][j][half * 2 + 1]);
    }
};
