// Convolution as a matrix product that never makes the matrix of patches ("implicit GEMM", Chetlur et al. 2014): C = A B, where
//
//     pass             row m of A                     column n of B        inner index k      C
//     forward          a result's pixel: its patch    a filter             (tap, channel)     y
//     input gradient   an image's pixel: the dy that  an input channel     (tap, filter)      dx
//                      saw it
//     weight gradient  a weight's (tap, channel)      a filter             a result's pixel   dw
//
// A block makes BM x BN numbers of C, its warps a rectangle each; A and B pass through shared memory, BK inner indices at a time and
// STAGES of them on their way (cp.async). A fully connected layer is the case of one pixel and one tap.
//
// PRECISION: FFMA   float, the ordinary units
//            TF32   tensor cores, 10 bits of mantissa
//            TF32X3 tensor cores, float's accuracy: a = a' + a'' in tf32 and a b = a' b' + a' b'' + a'' b' (Ootomo & Yokota 2022)
//            BF16   tensor cores, on images stored in bf16
#include "sums.cuh"
#include "tensor_core.cuh"

#define FFMA 0
#define TF32 1
#define TF32X3 2
#define BF16 3

#ifndef PRECISION
#define PRECISION TF32X3
#endif
#ifndef BM  // the tile's sides, how many of them are on their way, and how many blocks a multiprocessor is to have registers for
#define BM 128
#define BN 128
#define BK 32
#define WARPS_M 4
#define WARPS_N 2
#define STAGES 3
#define TOGETHER 1
#endif
#ifndef VEC  // numbers in one copy from global memory: 16 bytes of them, or 1
#define VEC 4
#endif

#if PRECISION == BF16
typedef bf16 operand;
#else
typedef float operand;
#endif

#define WARPS (WARPS_M * WARPS_N)
#define BLOCK (32 * WARPS)
#define RESIDENT (VEC == 1 ? 1 : TOGETHER)  // copies of single numbers need more registers
#define WM (BM / WARPS_M)
#define WN (BN / WARPS_N)
#define MI (WM / 16)
#define NI (WN / 8)

// Where a tile's element lies in shared memory. The gap at each row's end lets a fragment's 32 reads fall on 32 banks.
template <bool K_INSIDE, int SIDE>
struct Tile {
    static constexpr int ROWS = K_INSIDE ? SIDE : BK, COLUMNS = K_INSIDE ? BK : SIDE;
    static constexpr int PITCH = COLUMNS + (sizeof(operand) == 2 ? 8 : K_INSIDE ? 4 : 8);
    static constexpr int SIZE = ROWS * PITCH;
    __device__ static __forceinline__ int at(int side, int k) { return K_INSIDE ? side * PITCH + k : k * PITCH + side; }
};

struct Product {
    int m, n, k, splits, tiles_n;
    // The images that patches are taken from: row m is pixel (image, p, q), and its tap (i, j) sees (p * mul + off + i * tap, ...).
    int height, width, step, channels, a_group;
    int mul_y, mul_x, off_y, off_x, tap_y, tap_x;
    Divisor by_channels, by_taps_x, by_columns, by_rows;
    // The weights of tap (i, j): w[(i0 + i * i_step) * kernel_x + j0 + j * j_step].
    int i0, i_step, j0, j_step, kernel_x, w_rows, w_step;
    // Where C goes: pixel (p * out_mul + out_off, ...) of an image.
    int out_height, out_width, out_step, out_group, out_mul_y, out_mul_x, out_off_y, out_off_x;
    int relu, other_step;
};

// ---- from global to shared memory ----------------------------------------------------------------------------------

// Copy a tile: from(row, column, inside) is the address of VEC numbers that lie side by side.
template <class T, class F>
__device__ __forceinline__ void copy_tile(operand* to, F from) {
    constexpr int SLOTS = T::COLUMNS / VEC, STEP = BLOCK / SLOTS;
    static_assert(BLOCK % SLOTS == 0 && T::ROWS % STEP == 0, "threads and tile do not fit");
    int column = threadIdx.x % SLOTS * VEC;
#pragma unroll
    for (int i = 0; i < T::ROWS / STEP; i++) {
        int row = threadIdx.x / SLOTS + i * STEP;
        bool inside;
        const operand* source = from(row, column, inside);
        operand* place = to + row * T::PITCH + column;
        if (VEC * sizeof(operand) == 16) copy16(place, source, inside);
        else if (sizeof(operand) == 4) copy4(place, source, inside);
        else *place = inside ? *source : operand();
    }
}

// The pixel of C's row m: where its patch begins (for a row beyond the last, far outside), and where its result goes.
struct Row {
    int image, y, x, target;
};

__device__ __forceinline__ Row row_of(int m, const Product& g) {
    if (m >= g.m) return {0, -(1 << 29), 0, 0};
    int line = m / g.by_columns, image = line / g.by_rows;
    int q = m - line * int(g.by_columns.d), p = line - image * int(g.by_rows.d);
    int target = (image * g.out_height + p * g.out_mul_y + g.out_off_y) * g.out_width + q * g.out_mul_x + g.out_off_x;
    return {image * g.height, p * g.mul_y + g.off_y, q * g.mul_x + g.off_x, target};
}

__device__ __forceinline__ const operand* patch_at(const operand* x, const Row& row, int i, int j, int c, const Product& g, bool& inside) {
    int y = row.y + i * g.tap_y, column = row.x + j * g.tap_x;
    inside = inside && unsigned(y) < unsigned(g.height) && unsigned(column) < unsigned(g.width);
    return inside ? x + ((long long)(row.image + y) * g.width + column) * g.step + c : x;
}

// ---- the product of one tile ---------------------------------------------------------------------------------------

template <bool A_K_INSIDE, bool B_K_INSIDE>
struct Multiplier {
    typedef Tile<A_K_INSIDE, BM> A;
    typedef Tile<B_K_INSIDE, BN> B;
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
#pragma unroll
        for (int k = 0; k < BK; k += 16) {
            unsigned fa[MI][4], fb[NI][2];
            // Lane l names row l % 8 of the 8x8 matrix l / 8: of A they lie (upper, lower) x (first k, last k), of B the other way round.
            int l = lane(), low = l % 8 + l / 8 % 2 * 8, high = l / 16 * 8, same = l % 8 + l / 16 * 8, other = l / 8 % 2 * 8;
#pragma unroll
            for (int i = 0; i < MI; i++) {
                int m = first_row() + i * 16;
                if (A_K_INSIDE) ldmatrix(fa[i], a + A::at(m + low, k + high));
                else ldmatrix_turned(fa[i], a + A::at(m + other, k + same));
            }
#pragma unroll
            for (int j = 0; j < NI; j += 2) {
                int n = first_column() + j * 8;
                unsigned two[4];
                if (B_K_INSIDE) ldmatrix(two, b + B::at(n + same, k + other));
                else ldmatrix_turned(two, b + B::at(n + high, k + low));
                fb[j][0] = two[0], fb[j][1] = two[1], fb[j + 1][0] = two[2], fb[j + 1][1] = two[3];
            }
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int j = 0; j < NI; j++) mma_bf16(sum[i][j], fa[i], fb[j]);
        }
    }
#elif PRECISION == FFMA
    // Each thread makes the numbers that a tensor core would leave it with.
    __device__ __forceinline__ void add(const operand* a, const operand* b) {
        int g = lane() / 4, t = lane() % 4;
#pragma unroll 4
        for (int k = 0; k < BK; k++) {
            float fa[MI][2], fb[NI][2];
#pragma unroll
            for (int i = 0; i < MI * 2; i++) fa[i / 2][i % 2] = a[A::at(first_row() + i * 8 + g, k)];
#pragma unroll
            for (int j = 0; j < NI * 2; j++) fb[j / 2][j % 2] = b[B::at(first_column() + j / 2 * 8 + 2 * t + j % 2, k)];
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int j = 0; j < NI; j++)
#pragma unroll
                    for (int e = 0; e < 4; e++) sum[i][j][e] += fa[i][e / 2] * fb[j][e % 2];
        }
    }
#else
    __device__ __forceinline__ void add(const operand* a, const operand* b) {
        int g = lane() / 4, t = lane() % 4;
#pragma unroll 2
        for (int k = 0; k < BK; k += 8) {
            float fa[MI][4], fb[NI][2];
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int e = 0; e < 4; e++) fa[i][e] = a[A::at(first_row() + i * 16 + e % 2 * 8 + g, k + e / 2 * 4 + t)];
#pragma unroll
            for (int j = 0; j < NI; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) fb[j][e] = b[B::at(first_column() + j * 8 + g, k + e * 4 + t)];
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
            unsigned a2[MI][4], b2[NI][2];
#pragma unroll
            for (int i = 0; i < MI * 4; i++) a2[i / 4][i % 4] = to_tf32(fa[i / 4][i % 4] - __uint_as_float(a1[i / 4][i % 4]));
#pragma unroll
            for (int j = 0; j < NI * 2; j++) b2[j / 2][j % 2] = to_tf32(fb[j / 2][j % 2] - __uint_as_float(b1[j / 2][j % 2]));
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int j = 0; j < NI; j++) {
                    // The tensor core truncates what it adds up; the long sum is made outside of it, where rounding is exact.
                    float part[4] = {0, 0, 0, 0};
                    mma_tf32(part, a2[i], b1[j]);
                    mma_tf32(part, a1[i], b2[j]);
                    mma_tf32(part, a1[i], b1[j]);
#pragma unroll
                    for (int e = 0; e < 4; e++) sum[i][j][e] += part[e];
                }
#endif
        }
    }
#endif

    // Add up the steps [first, last) of BK inner indices; load(step, a, b) starts the copies of one.
    template <class F>
    __device__ __forceinline__ void run(operand* shared, int first, int last, F load) {
        constexpr int STAGE = A::SIZE + B::SIZE;
#pragma unroll 1
        for (int s = 0; s < STAGES - 1; s++) {
            if (first + s < last) load(first + s, shared + s * STAGE, shared + s * STAGE + A::SIZE);
            close_copies();
        }
#pragma unroll 1
        for (int step = first; step < last; step++) {
            copies_arrive<STAGES - 2>();
            __syncthreads();  // all threads' copies of this step are there, and nobody reads the stage that is filled next
            int next = step + STAGES - 1;
            operand* stage = shared + (next - first) % STAGES * STAGE;
            if (next < last) load(next, stage, stage + A::SIZE);
            close_copies();
            stage = shared + (step - first) % STAGES * STAGE;
            add(stage, stage + A::SIZE);
        }
    }

    // give(row, column, v0, v1) for each pair of neighbours that this thread holds.
    template <class F>
    __device__ __forceinline__ void each_pair(F give) {
#pragma unroll
        for (int i = 0; i < MI; i++)
#pragma unroll
            for (int j = 0; j < NI; j++)
#pragma unroll
                for (int half = 0; half < 2; half++)
                    give(first_row() + i * 16 + half * 8 + lane() / 4, first_column() + j * 8 + lane() % 4 * 2, sum[i][j][half * 2],
                         sum[i][j][half * 2 + 1]);
    }

    // Of this warp's first `rows` rows, give(column, mean, sum of squared deviations from it) for each column.
    template <class F>
    __device__ __forceinline__ void each_column(int rows, F give) const {
        if (rows <= 0) return;
#pragma unroll
        for (int j = 0; j < NI * 2; j++) {
            float mean = over_rows([&](float v) { return v; }, j, rows) / min(rows, WM);
            float squares = over_rows([&](float v) { return (v - mean) * (v - mean); }, j, rows);
            if (lane() < 4) give(first_column() + j / 2 * 8 + lane() * 2 + j % 2, mean, squares);
        }
    }

    // The sum of f(v) over the first `rows` of this warp's rows of a column: a quarter of its lanes hold parts of the same one.
    template <class F>
    __device__ __forceinline__ float over_rows(F f, int j, int rows) const {
        float total = 0;
#pragma unroll
        for (int i = 0; i < MI * 2; i++)
            if (i * 8 + lane() / 4 < rows) total += f(sum[i / 2][j / 2][i % 2 * 2 + j % 2]);
#pragma unroll
        for (int step = 4; step < 32; step *= 2) total += __shfl_xor_sync(0xffffffffu, total, step);
        return total;
    }
};

// ---- from registers to global memory -------------------------------------------------------------------------------

template <class T>
__device__ __forceinline__ void store_pair(T* p, float v0, float v1, bool second) {
    if (VEC > 1) {  // then everything is even
        struct alignas(2 * sizeof(T)) { T a, b; } pair = {from_float<T>(v0), from_float<T>(v1)};
        *reinterpret_cast<decltype(pair)*>(p) = pair;
    } else {
        p[0] = from_float<T>(v0);
        if (second) p[1] = from_float<T>(v1);
    }
}

// What is done to C on its way out, each where its pointer is not null: f(scale * C + bias + residual), or, of an image's gradient, what
// passes through the ReLU that made the image.
struct Epilogue {
    const float *scale, *bias;
    const REAL *residual, *rectified;
};

__device__ __forceinline__ float finished(float v, long long pixel, int column, const Epilogue& e, const Product& g) {
    if (e.scale) v *= e.scale[column];
    if (e.bias) v += e.bias[column];
    if (e.residual) v += to_float(e.residual[pixel * g.other_step + column]);
    if (g.relu) v = activate(v, RELU);
    return e.rectified ? activation_grad(v, to_float(e.rectified[pixel * g.other_step + column]), RELU) : v;
}

// Which part of the product this block makes.
struct Part {
    int m, n, group, split, first, last;
};

__device__ __forceinline__ Part part_of(const Product& g) {
    int tile_m = blockIdx.x / g.tiles_n, tile_n = blockIdx.x % g.tiles_n, group = blockIdx.z / g.splits, split = blockIdx.z % g.splits;
    int steps = (g.k + BK - 1) / BK, each = steps / g.splits, more = steps % g.splits;  // the first parts have a step more
    int first = split * each + min(split, more);
    return {tile_m * BM, tile_n * BN, group, split, first, first + each + (split < more)};
}

// Step number `step` of the patches that the tile's rows see, of the forward pass or, taken from dy, of the input gradient.
template <class T>
__device__ __forceinline__ void copy_patches(operand* to, const operand* images, int step, const Row* rows, const Part& part, const Product& g) {
    copy_tile<T>(to, [&](int row, int column, bool& inside) {
        int k = step * BK + column, tap = k / g.by_channels, c = k - tap * g.channels, i = tap / g.by_taps_x;
        inside = k < g.k;
        return patch_at(images, rows[row], i, tap - i * int(g.by_taps_x.d), part.group * g.a_group + c, g, inside);
    });
}

// C's part of a row goes to `out`, or to this split's share of `partial` [split][m][all groups' n]. Where `moments` [m / WM][2][all groups' n]
// is not null, mean and squared deviations of every WM rows of what went to `out` go there.
template <class T, class M>
__device__ __forceinline__ void deliver(M& product, const Part& part, const Product& g, const Epilogue& epilogue, T* out, float* partial,
                                        float* moments, const Row* rows) {
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
        v0 = to_float(from_float<T>(finished(v0, target, at, epilogue, g)));
        if (second) v1 = to_float(from_float<T>(finished(v1, target, at + 1, epilogue, g)));
        store_pair(out + target * g.out_step + at, v0, v1, second);
    });
    if (!moments) return;
    int m = part.m + product.first_row();
    float* place = moments + (long long)(m / WM) * 2 * all + first;
    product.each_column(g.m - m, [&](int column, float mean, float squares) {
        if (part.n + column < g.n) place[column] = mean, place[all + column] = squares;
    });
}

// ---- the three passes ----------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(BLOCK, RESIDENT) forward(const operand* __restrict__ x, const operand* __restrict__ w,
        const float* __restrict__ scale, const float* __restrict__ bias, const REAL* __restrict__ residual, REAL* __restrict__ y,
        float* __restrict__ partial, float* __restrict__ moments, Product g) {
    typedef Multiplier<true, false> M;
    SHARED(operand, stages);
    Row* rows = reinterpret_cast<Row*>(stages + STAGES * (M::A::SIZE + M::B::SIZE));
    Part part = part_of(g);
    for (int i = threadIdx.x; i < BM; i += BLOCK) rows[i] = row_of(part.m + i, g);
    __syncthreads();
    M product;
    product.run(stages, part.first, part.last, [&](int step, operand* a, operand* b) {
        copy_patches<M::A>(a, x, step, rows, part, g);
        copy_tile<M::B>(b, [&](int row, int column, bool& inside) {
            int k = step * BK + row, n = part.n + column;
            inside = k < g.k && n < g.n;
            return inside ? w + (long long)k * g.w_step + part.group * g.out_group + n : w;
        });
    });
    deliver(product, part, g, Epilogue{scale, bias, residual}, y, partial, moments, rows);
}

extern "C" __global__ void __launch_bounds__(BLOCK, RESIDENT) grad_input(const operand* __restrict__ dy, const operand* __restrict__ w,
        const REAL* __restrict__ rectified, REAL* __restrict__ dx, float* __restrict__ partial, Product g) {
    typedef Multiplier<true, true> M;
    SHARED(operand, stages);
    Row* rows = reinterpret_cast<Row*>(stages + STAGES * (M::A::SIZE + M::B::SIZE));
    Part part = part_of(g);
    for (int i = threadIdx.x; i < BM; i += BLOCK) rows[i] = row_of(part.m + i, g);
    __syncthreads();
    M product;
    product.run(stages, part.first, part.last, [&](int step, operand* a, operand* b) {
        copy_patches<M::A>(a, dy, step, rows, part, g);
        copy_tile<M::B>(b, [&](int row, int column, bool& inside) {
            int k = step * BK + column, tap = k / g.by_channels, c = k - tap * g.channels, i = tap / g.by_taps_x, j = tap - i * int(g.by_taps_x.d);
            int n = part.n + row, cell = (g.i0 + i * g.i_step) * g.kernel_x + g.j0 + j * g.j_step;
            inside = k < g.k && n < g.n;
            return inside ? w + ((long long)cell * g.w_rows + n) * g.w_step + part.group * g.a_group + c : w;
        });
    });
    deliver(product, part, g, Epilogue{nullptr, nullptr, nullptr, rectified}, dx, partial, nullptr, rows);
}

extern "C" __global__ void __launch_bounds__(BLOCK, RESIDENT) grad_weight(const operand* __restrict__ dy, int dy_step, const operand* __restrict__ x,
        float* __restrict__ dw, float* __restrict__ partial, Product g) {
    typedef Multiplier<false, false> M;
    SHARED(operand, stages);
    Part part = part_of(g);
    M product;
    product.run(stages, part.first, part.last, [&](int step, operand* a, operand* b) {
        copy_tile<M::A>(a, [&](int row, int column, bool& inside) {
            int m = part.m + column, tap = m / g.by_channels, c = m - tap * g.channels, i = tap / g.by_taps_x;
            int pixel = step * BK + row, line = pixel / g.by_columns, image = line / g.by_rows;
            int p = line - image * int(g.by_rows.d), q = pixel - line * int(g.by_columns.d);
            inside = m < g.m && pixel < g.k;
            Row at = {image * g.height, p * g.mul_y + g.off_y, q * g.mul_x + g.off_x, 0};
            return patch_at(x, at, i, tap - i * int(g.by_taps_x.d), part.group * g.a_group + c, g, inside);
        });
        copy_tile<M::B>(b, [&](int row, int column, bool& inside) {
            int pixel = step * BK + row, n = part.n + column;
            inside = pixel < g.k && n < g.n;
            return inside ? dy + (long long)pixel * dy_step + part.group * g.out_group + n : dy;
        });
    });
    deliver(product, part, g, Epilogue{}, dw, partial, nullptr, nullptr);
}

// Add up the splits' parts in their order, and finish: `channels` is all groups' columns.
extern "C" __global__ void finish(const float* __restrict__ partial, const float* __restrict__ scale, const float* __restrict__ bias,
                                  const REAL* __restrict__ residual, const REAL* __restrict__ rectified, REAL* __restrict__ out, int channels,
                                  Divisor by_channels, int count, Product g) {
    int i = THREAD;
    if (i >= count) return;
    int m = i / by_channels, at = i - m * channels;
    float sum = 0;
    for (int split = 0; split < g.splits; split++) sum += partial[(long long)split * count + i];
    long long target = g.out_width ? row_of(m, g).target : m;
    out[target * g.out_step + at] = from_float<REAL>(finished(sum, target, at, Epilogue{scale, bias, residual, rectified}, g));
}

// ---- the biases' gradient ------------------------------------------------------------------------------------------

extern "C" __global__ void bias_sums(const REAL* __restrict__ dy, int step, int pixels, int channels, float* __restrict__ partial) {
    column_sums<1>([&](int pixel, int c, Vector* v) { v[0] = load(dy + (long long)pixel * step + c); }, pixels, channels, partial);
}

extern "C" __global__ void bias_totals(const float* __restrict__ partial, int chunks, int channels, float* __restrict__ db) {
    int c = THREAD;
    if (c < channels) db[c] = total_of(partial, chunks, 1, 0, channels, c);
}
