// Convolution as a matrix product C = A B whose matrix of patches is never stored ("implicit GEMM",
// Chetlur et al. 2014):
//
//     pass             row m of A                     column n of B      inner index k      C
//     forward          a pixel of y: its patch of x   a filter           (tap, channel)     y
//     input gradient   a pixel of x: the dy whose     an input channel   (tap, filter)      dx
//                      patches contain it
//     weight gradient  (tap, channel) of a weight     a filter           a pixel of y       dw
//
// A block computes BM x BN numbers of C, each of its warps a rectangle. A and B pass through shared
// memory in steps of BK inner indices, with the copies of STAGES steps in flight (cp.async). A
// fully connected layer is the case of one pixel and one tap.
//
// PRECISION: FFMA    float, the ordinary units
//            TF32    tensor cores, 10 bits of mantissa
//            TF32X3  tensor cores with float's accuracy: a = a' + a'' in tf32,
//                    a b = a' b' + a' b'' + a'' b' (Ootomo & Yokota 2022)
//            BF16    tensor cores, on images stored in bf16
#define FFMA 0
#define TF32 1
#define TF32X3 2
#define BF16 3

#ifndef PRECISION
#define PRECISION TF32X3
#endif
// The sides of the tile, and the number of blocks that a multiprocessor has registers for.
#ifndef BM
#define BM 128
#define BN 128
#define BK 32
#define WARPS_M 4
#define WARPS_N 2
#define STAGES 3
#define TOGETHER 1
#endif
// Numbers per copy of A and of B from global memory, 16 bytes or one number, and per store of C.
#ifndef VEC_A
#define VEC_A 4
#define VEC_B 4
#define VEC_C 2
#endif

#include "epilogue.cuh"
#include "multiply.cuh"

// Copies of single numbers need more registers.
#define RESIDENT (VEC_A == 1 || VEC_B == 1 ? 1 : TOGETHER)

// Write rows first ... first + COUNT - 1 of `end` to shared memory, after the stages. All threads
// may read them after the next barrier of `run`.
template <int COUNT>
__device__ __forceinline__ void note_rows(Row* rows, int first, int end, const Product& g) {
    static_assert(COUNT <= BLOCK, "one row per thread");
    if (threadIdx.x < COUNT) rows[threadIdx.x] = row_of(first + threadIdx.x, end, g);
}

extern "C" __global__ void __launch_bounds__(BLOCK, RESIDENT)
    forward(const operand* __restrict__ x, const operand* __restrict__ w,
            const float* __restrict__ scale, const float* __restrict__ bias,
            const REAL* __restrict__ residual, REAL* __restrict__ y, float* __restrict__ partial,
            Product g) {
    typedef Multiplier<true, false> M;
    SHARED(operand, stages);
    Row* rows = reinterpret_cast<Row*>(stages + M::SIZE);
    Part part = part_of(g);
    note_rows<BM>(rows, part.m, g.m, g);
    int n = part.n + own_column<M::B>();
    w += part.group * g.out_group + n, x += part.group * g.a_group;
    M product;
    product.run(stages, part.first, part.last, [&](int step, operand* a, operand* b) {
        Tap tap = tap_of(step * BK + own_column<M::A>(), g.k, g);
        copy_patches<M::A>(a, x + tap.channel, tap, rows, g);
        copy_rows<M::B>(b, w + (long long)(step * BK) * g.w_step, g.w_step,
                        n < g.n ? g.k - step * BK : 0);
    });
    deliver(product, part, g, Epilogue{scale, bias, residual}, y, partial, rows);
}

extern "C" __global__ void __launch_bounds__(BLOCK, RESIDENT)
    grad_input(const operand* __restrict__ dy, const operand* __restrict__ w,
               const REAL* __restrict__ residual, const REAL* __restrict__ relu_output,
               REAL* __restrict__ dx, float* __restrict__ partial, Product g) {
    typedef Multiplier<true, true> M;
    SHARED(operand, stages);
    Row* rows = reinterpret_cast<Row*>(stages + M::SIZE);
    Part part = part_of(g);
    note_rows<BM>(rows, part.m, g.m, g);
    w += part.group * g.a_group + (long long)part.n * g.w_step, dy += part.group * g.a_group;
    M product;
    product.run(stages, part.first, part.last, [&](int step, operand* a, operand* b) {
        Tap tap = tap_of(step * BK + own_column<M::A>(), g.k, g);
        copy_patches<M::A>(a, dy + tap.channel, tap, rows, g);
        tap = tap_of(step * BK + own_column<M::B>(), g.k, g);
        int i = tap.number / g.by_taps_x, j = tap.number - i * int(g.by_taps_x.d),
            cell = (g.i0 + i * g.i_step) * g.kernel_x + g.j0 + j * g.j_step;
        bool inside = step * BK + own_column<M::B>() < g.k;
        copy_rows<M::B>(b, w + (long long)(cell * g.w_rows) * g.w_step + tap.channel, g.w_step,
                        inside ? g.n - part.n : 0);
    });
    Epilogue epilogue{nullptr, nullptr, residual, relu_output};
    deliver(product, part, g, epilogue, dx, partial, rows);
}

// Each column of a tile has as many threads: thread t sums column t % BN.
#define SHARES (BLOCK / BN)

// This thread's share of a column of B, in the weight gradient a filter's dy.
template <class T>
__device__ __forceinline__ float column_sum(const operand* tile) {
    static_assert(BLOCK % BN == 0 && T::ROWS % SHARES == 0, "threads and tile do not fit");
    tile += threadIdx.x / BN * T::PITCH + threadIdx.x % BN;
    float sum = 0;
#pragma unroll 8
    for (int i = 0; i < T::ROWS / SHARES; i++) sum += to_float(tile[i * SHARES * T::PITCH]);
    return sum;
}

// `bias_parts` [split][summer][share][all groups' filters], if it is not null, gets sums of dy for
// the bias. All blocks of a column of tiles read the same dy: the first `summers` of them add up
// the steps by turns. `until`: the steps before this block's next turn.
extern "C" __global__ void __launch_bounds__(BLOCK, RESIDENT)
    grad_weight(const operand* __restrict__ x, const operand* __restrict__ dy, int dy_step,
                float* __restrict__ dw, float* __restrict__ partial,
                float* __restrict__ bias_parts, int summers, Product g) {
    typedef Multiplier<false, false> M;
    SHARED(operand, stages);
    Row* pixels = reinterpret_cast<Row*>(stages + M::SIZE);  // of this step and of the next
    Part part = part_of(g);
    note_rows<BK>(pixels + part.first % 2 * BK, part.first * BK, g.k, g);
    Tap tap = tap_of(part.m + own_column<M::A>(), g.m, g);
    int n = part.n + own_column<M::B>();
    x += part.group * g.a_group + tap.channel, dy += part.group * g.out_group + n;
    int turn = part.m / BM;
    bool sums_bias = bias_parts && turn < summers;
    int until = sums_bias ? (turn + summers - part.first % summers) % summers : -1;
    float bias = 0;
    M product;
    product.run(
        stages, part.first, part.last,
        [&](int step, operand* a, operand* b) {
            copy_patches<M::A>(a, x, tap, pixels + step % 2 * BK, g);
            copy_rows<M::B>(b, dy + (long long)(step * BK) * dy_step, dy_step,
                            n < g.n ? g.k - step * BK : 0);
            note_rows<BK>(pixels + (step + 1) % 2 * BK, (step + 1) * BK, g.k, g);
        },
        [&](const operand* b) {
            if (until-- == 0) bias += column_sum<M::B>(b), until = summers - 1;
        });
    int column = threadIdx.x % BN;
    if (sums_bias && part.n + column < g.n) {
        int row = (part.split * summers + turn) * SHARES + threadIdx.x / BN,
            all = g.out_group * int(gridDim.z / g.splits);
        bias_parts[(long long)row * all + part.group * g.out_group + part.n + column] = bias;
    }
    deliver(product, part, g, Epilogue{}, dw, partial, nullptr);
}
