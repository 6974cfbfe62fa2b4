// Runs CUDA C on a CPU, to test it where there is no GPU: one fibre for each CUDA thread, block after block.
//
// What it shows: indices, missing or divergent barriers, reads of memory that nothing was written to (shared memory starts as NaN, and so
// does what cp.async has not delivered yet), tensor-core fragments, and under AddressSanitizer every address out of bounds. What it cannot
// show: races between blocks, the order of memory operations, bank conflicts, speed.
//
// A thread runs until it reaches a barrier; then the next one does, in an order that the seed shuffles. So a barrier that is missing lets
// some thread read what another one has yet to write.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <vector>

#define EMULATED 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __constant__ static const
#define __align__(n) alignas(n)
#define SHARED(type, name) type* name = reinterpret_cast<type*>(emulator::thread->block->shared.data())

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }

namespace emulator {

enum State { RUNNING, AT_BLOCK_BARRIER, AT_WARP_BARRIER, AT_GRID_BARRIER, DONE };

constexpr size_t STACK = 64 << 10;

struct Block;

struct Copy {  // one cp.async under way
    unsigned char* to;
    unsigned char bytes[16];
    int count, group;
};

struct Thread {
    void* stack_pointer;
    std::vector<unsigned char> stack;
    dim3 index;
    int linear;
    State state;
    Block* block;
    int group;  // of cp.async
    std::vector<Copy> copies;
};

struct Block {
    dim3 index;
    std::vector<Thread> threads;
    std::vector<unsigned char> shared;
    uint64_t exchange[64][32][8];  // what the lanes of a warp show each other
};

static Thread* thread;
static void* scheduler;
static void (*entry)(void**);
static void** arguments;
static dim3 block_size, grid_size;

// Keep this fibre's registers on its stack, and go on with another one's (System V, x86-64 or 64-bit Arm).
extern "C" void emulator_switch(void** save, void* load);
#if defined(__x86_64__)
asm(R"(
.text
.globl emulator_switch
.hidden emulator_switch
emulator_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
)");
constexpr int SAVED = 6, RETURN = 6;
#elif defined(__aarch64__)
asm(R"(
.text
.globl emulator_switch
.hidden emulator_switch
emulator_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]; stp x21, x22, [sp, #16]; stp x23, x24, [sp, #32]; stp x25, x26, [sp, #48]; stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]; stp d8, d9, [sp, #96]; stp d10, d11, [sp, #112]; stp d12, d13, [sp, #128]; stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]; ldp x21, x22, [sp, #16]; ldp x23, x24, [sp, #32]; ldp x25, x26, [sp, #48]; ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]; ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]; ldp d12, d13, [sp, #128]; ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");
constexpr int SAVED = 20, RETURN = 11;
#else
#error "emulator.h knows how to switch fibres on x86-64 and 64-bit Arm only"
#endif

// An order that looks random, the same for the same seed (xorshift, Marsaglia 2003); 0 keeps the threads' own.
struct Order {
    unsigned state;
    void shuffle(std::vector<int>& turn) {
        for (size_t i = turn.size(); state && i > 1; i--) {
            state ^= state << 13, state ^= state >> 17, state ^= state << 5;
            std::swap(turn[i - 1], turn[state % i]);
        }
    }
};

inline void wait(State state) {
    Thread* self = thread;
    self->state = state;
    emulator_switch(&self->stack_pointer, scheduler);
}

inline void body() {
    entry(arguments);
    wait(DONE);
    abort();
}

inline void start(Thread& t) {
    if (t.stack.empty()) t.stack.resize(STACK);
    uintptr_t top = (reinterpret_cast<uintptr_t>(t.stack.data()) + STACK) & ~uintptr_t(15);
    void** frame = reinterpret_cast<void**>(top) - SAVED - 2;  // after the return, the stack is aligned as after a call
    memset(frame, 0, (SAVED + 2) * sizeof(void*));
    frame[RETURN] = reinterpret_cast<void*>(body);
    t.stack_pointer = frame;
    t.state = RUNNING;
    t.group = 0;
    t.copies.clear();
}

inline void resume(Thread& t) {
    thread = &t;
    emulator_switch(&scheduler, t.stack_pointer);
}

// Let every thread of a block run to its next barrier; true once all wait for the grid or are done.
inline bool advance(Block& block, Order& order, int& failed) {
    auto& threads = block.threads;
    std::vector<int> turn(threads.size());
    for (size_t i = 0; i < turn.size(); i++) turn[i] = int(i);
    for (;;) {
        order.shuffle(turn);
        for (int i : turn)
            if (threads[i].state == RUNNING) resume(threads[i]);
        bool released = false;
        for (size_t first = 0; first < threads.size(); first += 32) {
            size_t last = first + 32 < threads.size() ? first + 32 : threads.size(), waiting = 0, gone = 0;
            for (size_t i = first; i < last; i++) {
                waiting += threads[i].state == AT_WARP_BARRIER;
                gone += threads[i].state == DONE;
            }
            if (waiting == 0 || waiting + gone != last - first) continue;
            for (size_t i = first; i < last; i++)
                if (threads[i].state == AT_WARP_BARRIER) threads[i].state = RUNNING;
            released = true;
        }
        if (released) continue;
        size_t count[5] = {};
        for (auto& t : threads) count[t.state]++;
        if (count[DONE] + count[AT_GRID_BARRIER] == threads.size()) return true;
        if (count[AT_BLOCK_BARRIER] + count[DONE] != threads.size()) {
            fprintf(stderr, "emulator: threads of block (%u, %u, %u) wait at different barriers\n", block.index.x, block.index.y, block.index.z);
            failed = 1;
            return true;
        }
        for (auto& t : threads)
            if (t.state == AT_BLOCK_BARRIER) t.state = RUNNING;
    }
}

inline void prepare(Block& block, dim3 index, size_t shared) {
    block.index = index;
    block.shared.assign(shared, 0xff);  // a NaN, as float and as bf16
    block.threads.resize(size_t(block_size.x) * block_size.y * block_size.z);
    for (size_t i = 0; i < block.threads.size(); i++) {
        Thread& t = block.threads[i];
        t.block = &block;
        t.linear = int(i);
        t.index = {unsigned(i % block_size.x), unsigned(i / block_size.x % block_size.y), unsigned(i / block_size.x / block_size.y)};
        start(t);
    }
}

// Launch a kernel: `together` keeps all blocks alive at once, as a grid barrier needs. Returns 0, or 1 for threads that wait for ever.
inline int run(void (*kernel)(void**), void** values, dim3 grid, dim3 block, size_t shared, unsigned seed, bool together) {
    entry = kernel, arguments = values, block_size = block, grid_size = grid;
    Order order{seed * 2654435769u};
    int failed = 0;
    static std::vector<Block> kept(1);  // stacks are worth keeping from launch to launch
    size_t count = size_t(grid.x) * grid.y * grid.z;
    auto index = [&](size_t i) { return dim3{unsigned(i % grid.x), unsigned(i / grid.x % grid.y), unsigned(i / grid.x / grid.y)}; };
    if (!together) {
        for (size_t i = 0; i < count && !failed; i++) {
            prepare(kept[0], index(i), shared);
            advance(kept[0], order, failed);
            for (auto& t : kept[0].threads) failed |= t.state != DONE;
        }
        return failed;
    }
    std::vector<Block> all(count);
    for (size_t i = 0; i < count; i++) prepare(all[i], index(i), shared);
    for (bool done = false; !done && !failed;) {
        done = true;
        for (auto& b : all) advance(b, order, failed);
        for (auto& b : all)
            for (auto& t : b.threads)
                if (t.state == AT_GRID_BARRIER) t.state = RUNNING, done = false;
    }
    return failed;
}

template <class T>
inline T exchanged(T value, int from) {
    auto& slots = thread->block->exchange[thread->linear / 32];
    memcpy(&slots[thread->linear % 32][0], &value, sizeof(T));
    wait(AT_WARP_BARRIER);
    T result;
    memcpy(&result, &slots[from & 31][0], sizeof(T));
    wait(AT_WARP_BARRIER);
    return result;
}

}  // namespace emulator

#define threadIdx (emulator::thread->index)
#define blockIdx (emulator::thread->block->index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)

static inline void __syncthreads() { emulator::wait(emulator::AT_BLOCK_BARRIER); }
static inline void __syncwarp(unsigned = 0xffffffffu) { emulator::wait(emulator::AT_WARP_BARRIER); }
static inline void __threadfence() {}
static inline unsigned atomicAdd(unsigned* p, unsigned v) { return (*p += v) - v; }

template <class T>
static inline T __shfl_xor_sync(unsigned, T value, int mask) {
    return emulator::exchanged(value, (emulator::thread->linear % 32) ^ mask);
}
template <class T>
static inline T __shfl_sync(unsigned, T value, int lane) {
    return emulator::exchanged(value, lane);
}

static inline float __uint_as_float(unsigned u) {
    float x;
    memcpy(&x, &u, 4);
    return x;
}
static inline unsigned __float_as_uint(float x) {
    unsigned u;
    memcpy(&u, &x, 4);
    return u;
}
static inline float __int_as_float(int i) { return __uint_as_float(unsigned(i)); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
template <class T>
static inline T max(T a, T b) { return a > b ? a : b; }
template <class T>
static inline T min(T a, T b) { return a < b ? a : b; }

// ---- tensor_core.cuh -----------------------------------------------------------------------------------------------

// What the lanes of this warp laid out; read between two barriers.
static inline uint64_t (&emulated_slots())[32][8] { return emulator::thread->block->exchange[emulator::thread->linear / 32]; }

static inline float emulated_tf32(uint64_t bits) { return __uint_as_float(unsigned(bits) & 0xffffe000u); }

static inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    auto& slots = emulated_slots();
    int lane = emulator::thread->linear % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) slots[lane][i] = a[i];
    for (int i = 0; i < 2; i++) slots[lane][4 + i] = b[i];
    __syncwarp();
    for (int i = 0; i < 4; i++) {
        int row = g + i / 2 * 8, column = 2 * t + i % 2;
        double sum = 0;
        for (int k = 0; k < 8; k++)
            sum += double(emulated_tf32(slots[row % 8 * 4 + k % 4][row / 8 + k / 4 * 2])) * emulated_tf32(slots[column * 4 + k % 4][4 + k / 4]);
        d[i] = float(d[i] + sum);
    }
    __syncwarp();
}

static inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    auto& slots = emulated_slots();
    int lane = emulator::thread->linear % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) slots[lane][i] = a[i];
    for (int i = 0; i < 2; i++) slots[lane][4 + i] = b[i];
    __syncwarp();
    auto half = [](uint64_t pair, int upper) { return __uint_as_float(upper ? unsigned(pair) & 0xffff0000u : unsigned(pair) << 16); };
    for (int i = 0; i < 4; i++) {
        int row = g + i / 2 * 8, column = 2 * t + i % 2;
        double sum = 0;
        for (int k = 0; k < 16; k++)
            sum += double(half(slots[row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2], k % 2)) * half(slots[column * 4 + k % 8 / 2][4 + k / 8], k % 2);
        d[i] = float(d[i] + sum);
    }
    __syncwarp();
}

static inline unsigned to_tf32(float x) { return x != x ? 0x7fffffffu : (__float_as_uint(x) + 0x1000u) & 0xffffe000u; }

typedef uintptr_t Shared;
static inline Shared shared_address(const void* p) { return reinterpret_cast<Shared>(p); }

static inline void emulated_ldmatrix(unsigned (&r)[4], Shared row, bool turned) {
    auto& slots = emulated_slots();
    int lane = emulator::thread->linear % 32, g = lane / 4, t = lane % 4;
    if (row % 16) fprintf(stderr, "emulator: ldmatrix of a row that is not aligned to 16 bytes\n"), abort();
    slots[lane][0] = row;
    __syncwarp();
    for (int m = 0; m < 4; m++) {
        auto at = [&](int i, int j) { return unsigned(reinterpret_cast<const uint16_t*>(slots[m * 8 + i][0])[j]); };
        r[m] = turned ? at(2 * t, g) | at(2 * t + 1, g) << 16 : at(g, 2 * t) | at(g, 2 * t + 1) << 16;
    }
    __syncwarp();
}
static inline void ldmatrix(unsigned (&r)[4], Shared row) { emulated_ldmatrix(r, row, false); }
static inline void ldmatrix_turned(unsigned (&r)[4], Shared row) { emulated_ldmatrix(r, row, true); }

// A copy arrives when it is waited for, and not before: until then its place holds NaN.
static inline void emulated_copy(void* to, const void* from, int count, bool inside) {
    if (reinterpret_cast<uintptr_t>(to) % count || (inside && reinterpret_cast<uintptr_t>(from) % count))
        fprintf(stderr, "emulator: cp.async of %d bytes from or to an address that is not aligned to them\n", count), abort();
    emulator::Copy copy{static_cast<unsigned char*>(to), {}, count, emulator::thread->group};
    if (inside) memcpy(copy.bytes, from, size_t(count));
    memset(to, 0xff, size_t(count));
    emulator::thread->copies.push_back(copy);
}
static inline void copy16(Shared to, const void* from, bool inside) { emulated_copy(reinterpret_cast<void*>(to), from, 16, inside); }
static inline void copy4(Shared to, const void* from, bool inside) { emulated_copy(reinterpret_cast<void*>(to), from, 4, inside); }
static inline void close_copies() { emulator::thread->group++; }
template <int N>
static inline void copies_arrive() {
    auto& copies = emulator::thread->copies;
    size_t arrived = 0;
    for (; arrived < copies.size() && copies[arrived].group < emulator::thread->group - N; arrived++)
        memcpy(copies[arrived].to, copies[arrived].bytes, size_t(copies[arrived].count));
    copies.erase(copies.begin(), copies.begin() + long(arrived));
}
