// The products of conv.cu on Hopper's units (wgmma, mbarriers, TMA), in bf16. It needs a GPU of
// compute capability 9.0.
//
//     the last warps                  STAGES stages of A and B             two warpgroups
//
//     empty? -> cp.async of patches   [ full ][ full ][      ][ full ]     full? -> wgmma, 64 rows
//               TMA copies of B                                            done  -> empty
//
// The last warps gather the patches, one row of 128 bytes per pixel and step, and publish a step
// when its copies have arrived, LAG steps after they have started them. `arrange` has laid out the
// weights as they lie in shared memory, so that one instruction copies those of a step. Tensor
// cores read both operands from shared memory. Chunk j of 16 bytes in row i is at j ^ i % 8.
//
// In the weight gradient the inner index is a pixel, whose channels and filters are neighbors in
// memory. Its operands are "turned": rows are pixels, and blocks of 64 channels or filters follow
// each other.
#ifndef BN
#define BN 256
#define STAGES 4
#define TOGETHER 1
#define VEC_C 2
#endif
#define BM 128
#define BK 64

#include "epilogue.cuh"
#include "hopper.cuh"

#define BYTES_B (BN * BK * int(sizeof(bf16)))
#define LAG (STAGES - 2)  // steps whose copies are in flight
// One block on a multiprocessor: per thread, a block has REGISTERS at launch, and its producers
// give back what the sums need. Of two, each has fewer producers, and all threads have 96.
#define CONSUMERS (2 * BM)
#define PRODUCERS (TOGETHER == 1 ? 128 : 64)
#define THREADS (CONSUMERS + PRODUCERS)
#define REGISTERS 168
#define LEAST 40
#define MOST 232

// The place of the stages: swizzled rows repeat every 1,024 bytes.
__device__ __forceinline__ bf16* aligned(bf16* p) {
    return reinterpret_cast<bf16*>((reinterpret_cast<unsigned long long>(p) + 1023) & ~1023ull);
}

// What a block has in shared memory. A stage is full when each warp of producers and the bulk copy
// have arrived, and empty when each warp that multiplies has.
struct Ring {
    bf16 *a, *b;  // [STAGES][BM][BK] and [STAGES][BN][BK]
    Row* rows;    // [BM]
    Barrier *full, *empty;

    __device__ __forceinline__ Ring(bf16* shared) {
        a = aligned(shared), b = a + STAGES * BM * BK;
        rows = reinterpret_cast<Row*>(b + STAGES * BN * BK);
        full = reinterpret_cast<Barrier*>(rows + BM), empty = full + STAGES;
    }

    __device__ __forceinline__ void begin() {
        for (int stage = 0; stage < STAGES; stage++) {
            barrier_init(full + stage, PRODUCERS / 32 + 1);
            barrier_init(empty + stage, CONSUMERS / 32);
        }
        barriers_ready();
    }
};

// A stage, and how often the ring has been passed: waits ask for its parity.
struct Turn {
    int stage = 0, parity = 0;

    __device__ __forceinline__ void next() {
        if (++stage == STAGES) stage = 0, parity ^= 1;
    }
};

// Start the copies of this thread's columns of 16 bytes in the rows of a step.
__device__ __forceinline__ void gather(bf16* to, const bf16* from, int step, const Row* rows,
                                       const Product& g) {
    int chunk = threadIdx.x % 8, first = (threadIdx.x - CONSUMERS) / 8;
    Tap tap = tap_of(step * BK + chunk * 8, g.k, g);
    from += tap.channel, to += first * BK + (chunk ^ first % 8) * 8;
#pragma unroll
    for (int i = 0; i < BM; i += PRODUCERS / 8) {
        Row at = rows[first + i];
        bool inside = unsigned(at.y + tap.y) < unsigned(g.height) &&
                      unsigned(at.x + tap.x) < unsigned(g.width);
        copy16(shared_address(to + i * BK), from + (long long)(at.pixel + tap.pixels) * g.step,
               inside);
    }
}

// Fill the stages. copy_a(i, to) starts the threads' copies of step i, and copy_b(i, to, full) is
// called by one thread.
template <class A, class B>
__device__ __forceinline__ void produce(const Ring& ring, int steps, A copy_a, B copy_b) {
    Turn filled, published;
    for (int i = 0; i < steps + LAG; i++) {
        if (i < steps) {
            int stage = filled.stage;
            if (i >= STAGES) wait_for(ring.empty + stage, filled.parity ^ 1);
            if (threadIdx.x == CONSUMERS) {
                expect_bytes(ring.full + stage, BYTES_B);
                copy_b(i, ring.b + stage * BN * BK, ring.full + stage);
            }
            copy_a(i, ring.a + stage * BM * BK);
            filled.next();
        }
        close_copies();
        if (i < LAG) continue;
        copies_arrive<LAG>();
        writes_ready();
        __syncwarp();  // all lanes' copies are there
        if (threadIdx.x % 32 == 0) arrive(ring.full + published.stage);
        published.next();
    }
}

// 64 rows of C, in the registers of a warpgroup.
struct Sums {
    float sum[BN / 2] = {};
    int first;  // row of the block's tile

    // Start the products of a step when it is there.
    template <bool TURNED>
    __device__ __forceinline__ void start(const Ring& ring, Turn& turn) {
        const bf16 *a = ring.a + (turn.stage * BM + first) * BK, *b = ring.b + turn.stage * BN * BK;
        wait_for(ring.full + turn.stage, turn.parity);
        products_begin();
#pragma unroll
        for (int k = 0; k < BK; k += 16)
            if constexpr (TURNED)
                multiply<true>(sum, turned_operand(a + k * 64), turned_operand(b + k * 64));
            else multiply(sum, operand(a + k), operand(b + k));
        products_close();
        turn.next();
    }

    // Add up the steps, at least one. The products of a step are under way while the next is
    // awaited.
    template <bool TURNED = false>
    __device__ __forceinline__ void add(const Ring& ring, int steps) {
        Turn started, done;
        start<TURNED>(ring, started);
        for (int i = 1; i < steps; i++) {
            start<TURNED>(ring, started);
            products_arrive<1>();
            if (threadIdx.x % 32 == 0) arrive(ring.empty + done.stage);
            done.next();
        }
        products_arrive<0>();
    }

    // give(row, column, v0, v1) for each pair of neighbors in this thread's registers.
    template <class F>
    __device__ __forceinline__ void each_pair(F give) {
        int lane = threadIdx.x % 32, row = first + threadIdx.x / 32 % 4 * 16 + lane / 4;
#pragma unroll
        for (int i = 0; i < BN / 4; i++)
            give(row + i % 2 * 8, i / 2 * 8 + lane % 4 * 2, sum[2 * i], sum[2 * i + 1]);
    }
};

// What all threads of a block begin with. The threads that copy are told apart.
__device__ __forceinline__ bool begins_as_producer(Ring& ring) {
    if (threadIdx.x == 0) ring.begin();
    __syncthreads();  // the barriers are initialized, and rows are written
    bool copies = threadIdx.x >= CONSUMERS;
    if constexpr (TOGETHER == 1) {
        if (copies) change_registers<REGISTERS, LEAST>();
        else change_registers<REGISTERS, MOST>();
    }
    return copies;
}

extern "C" __global__ void __launch_bounds__(THREADS, TOGETHER)
    convolve(const bf16* __restrict__ a, const bf16* __restrict__ weights,
             const float* __restrict__ scale, const float* __restrict__ bias,
             const bf16* __restrict__ residual, const bf16* __restrict__ relu_output,
             bf16* __restrict__ out, float* __restrict__ partial, Product g) {
    SHARED(bf16, shared);
    Ring ring(shared);
    Part part = part_of(g);
    if (threadIdx.x < BM) ring.rows[threadIdx.x] = row_of(part.m + threadIdx.x, g.m, g);
    if (begins_as_producer(ring)) {
        int tile = part.group * g.tiles_n + part.n / BN, steps = (g.k + BK - 1) / BK;
        weights += ((long long)tile * steps + part.first) * (BN * BK);
        a += part.group * g.a_group;
        produce(
            ring, part.last - part.first,
            [&](int i, bf16* to) { gather(to, a, part.first + i, ring.rows, g); },
            [&](int i, bf16* to, Barrier* full) {
                load_bytes(to, weights + (long long)i * (BN * BK), BYTES_B, full);
            });
    } else {
        Sums product;
        product.first = threadIdx.x / 128 * 64;
        product.add(ring, part.last - part.first);
        Epilogue epilogue{scale, bias, residual, relu_output};
        deliver(product, part, g, epilogue, out, partial, ring.rows);
    }
}

// Start the copies of this thread's eight channels of a tap, of the pixels of a step. Lane l has
// the address of the patches of pixel l / 2 of this warp's even, or odd, pixels.
__device__ __forceinline__ void gather_turned(bf16* to, const bf16* from, int step, const Tap& tap,
                                              const Product& g) {
    constexpr int COUNT = PRODUCERS / 16;  // pixels at once
    int lane = threadIdx.x % 32, chunk = lane % 16, odd = lane / 16,
        first = (threadIdx.x - CONSUMERS) / 32 * 2;
    Row own = row_of(step * BK + first + lane % 2 + lane / 2 * COUNT, g.k, g);
    to += chunk / 8 * (64 * BK);
#pragma unroll 4
    for (int i = 0; i < BK / COUNT; i++) {
        int from_lane = 2 * i + odd, row = first + odd + i * COUNT;
        int y = __shfl_sync(0xffffffffu, own.y, from_lane) + tap.y,
            x = __shfl_sync(0xffffffffu, own.x, from_lane) + tap.x,
            pixel = __shfl_sync(0xffffffffu, own.pixel, from_lane) + tap.pixels;
        bool inside = unsigned(y) < unsigned(g.height) && unsigned(x) < unsigned(g.width);
        copy16(shared_address(to + row * 64 + (chunk % 8 ^ row % 8) * 8),
               from + (long long)pixel * g.step, inside);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, TOGETHER)
    grad_weight_hopper(const bf16* __restrict__ x, const __grid_constant__ TensorMap dy,
                       float* __restrict__ dw, float* __restrict__ partial, Product g) {
    SHARED(bf16, shared);
    Ring ring(shared);
    Part part = part_of(g);
    if (begins_as_producer(ring)) {
        Tap tap = tap_of(part.m + threadIdx.x % 16 * 8, g.m, g);
        x += part.group * g.a_group + tap.channel;
        produce(
            ring, part.last - part.first,
            [&](int i, bf16* to) { gather_turned(to, x, part.first + i, tap, g); },
            [&](int i, bf16* to, Barrier* full) {
                for (int n = 0; n < BN; n += 64)
                    load_box(to + n * BK, &dy, full, part.group * g.out_group + part.n + n,
                             (part.first + i) * BK, 0, 0);
            });
    } else {
        Sums product;
        product.first = threadIdx.x / 128 * 64;
        product.add<true>(ring, part.last - part.first);
        deliver(product, part, g, Epilogue{}, dw, partial, nullptr);
    }
}

// The weights as tiles [group][tile of C's columns][step][BN][BK], as they lie in shared memory,
// with zeros where there are none. The weight of column n and a channel of a tap is at
// n * n_step + channel * k_step. One thread per 16 bytes; blockIdx.y counts them along k.
extern "C" __global__ void arrange(const bf16* __restrict__ w, bf16* __restrict__ tiles, int n_step,
                                   int k_step, int group_step, Product g) {
    int n = THREAD, k = blockIdx.y * 8, steps = gridDim.y * 8 / BK;
    if (n >= g.tiles_n * BN) return;
    struct alignas(16) {
        bf16 at[8];
    } chunk = {};
    if (n < g.n && k < g.k) {
        int tap = k / g.by_channels, i = tap / g.by_taps_x, j = tap - i * int(g.by_taps_x.d),
            cell = (g.i0 + i * g.i_step) * g.kernel_x + g.j0 + j * g.j_step;
        w += (long long)(cell * g.w_rows) * g.w_step + blockIdx.z * group_step + n * n_step +
             (k - tap * int(g.by_channels.d)) * k_step;
        for (int e = 0; e < 8; e++) chunk.at[e] = w[e * k_step];
    }
    long long tile = (long long)(blockIdx.z * g.tiles_n + n / BN) * steps + k / BK;
    int row = n % BN;
    tiles += tile * (BN * BK) + row * BK + (k % BK / 8 ^ row % 8) * 8;
    *reinterpret_cast<decltype(chunk)*>(tiles) = chunk;
}
