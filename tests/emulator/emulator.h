// Runs CUDA C on a CPU, to test it without a GPU: one fiber per CUDA thread, one block after
// another.
//
// It shows wrong indices, missing and divergent barriers, reads of unwritten memory (shared memory
// starts as NaN, and so does memory that cp.async has not filled yet), wrong tensor-core fragments,
// and under AddressSanitizer every address out of bounds. It cannot show races between blocks, the
// order of memory operations, bank conflicts, or speed.
//
// A thread runs until it reaches a barrier; then the next one does, in an order that the seed
// shuffles. If a barrier is missing, some thread reads memory that another thread has not written
// yet.
//
// instructions.h has CUDA's built-in functions and the functions of tensor_core.cuh.
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
#define SHARED(type, name) \
    type* name = reinterpret_cast<type*>(emulator::thread->block->shared.data())

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

enum State { RUNNING, AT_BLOCK_BARRIER, AT_WARP_BARRIER, AT_GRID_BARRIER, DONE, POLLING };

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
    std::vector<unsigned char*> unfenced;  // 16 bytes each that copies have written: see hopper.h
    bool multiplies;                       // has started products of wgmma
    int registers;                         // 0: as many as at launch
};

struct Later {  // a copy of TMA under way; `run` frees the data
    void (*run)(void*);
    void* data;
};

struct Block {
    dim3 index;
    std::vector<Thread> threads;
    std::vector<unsigned char> shared;
    uint64_t exchange[64][32][8];  // what the lanes of a warp exchange
    std::vector<Later> later;
    std::vector<bool> unfenced;  // which 16 bytes of `shared` the async proxy does not see yet
    int registers;               // that threads have given back
};

static Thread* thread;
static void* scheduler;
static void (*entry)(void**);
static void** arguments;
static dim3 block_size, grid_size;
static bool broken;  // a rule of an instruction; stderr says which

// Save this fiber's registers on its stack and load those of another (System V, x86-64 or Arm64).
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
    stp x19, x20, [sp]; stp x21, x22, [sp, #16]; stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]; stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]; stp d8, d9, [sp, #96]; stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]; stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]; ldp x21, x22, [sp, #16]; ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]; ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]; ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]; ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");
constexpr int SAVED = 20, RETURN = 11;
#else
#error "emulator.h can switch fibers on x86-64 and 64-bit Arm only"
#endif

// A pseudo-random order (xorshift, Marsaglia 2003); seed 0 keeps the order of the threads' indices.
struct Order {
    unsigned state;
    unsigned next() { return state ^= state << 13, state ^= state >> 17, state ^= state << 5; }
    void shuffle(std::vector<int>& turn) {
        for (size_t i = turn.size(); state && i > 1; i--)
            std::swap(turn[i - 1], turn[next() % i]);
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
    void** frame = reinterpret_cast<void**>(top) - SAVED -
                   2;  // after the return, the stack is aligned as after a call
    memset(frame, 0, (SAVED + 2) * sizeof(void*));
    frame[RETURN] = reinterpret_cast<void*>(body);
    t.stack_pointer = frame;
    t.state = RUNNING;
    t.group = 0;
    t.copies.clear();
    t.unfenced.clear();
    t.multiplies = false;
    t.registers = 0;
}

inline void resume(Thread& t) {
    thread = &t;
    emulator_switch(&scheduler, t.stack_pointer);
}

// Run every thread of a block to its next barrier; true if all wait for the grid or are done.
inline bool advance(Block& block, Order& order, int& failed) {
    auto& threads = block.threads;
    std::vector<int> turn(threads.size());
    for (size_t i = 0; i < turn.size(); i++) turn[i] = int(i);
    for (;;) {
        order.shuffle(turn);
        bool released = false, moved = false;
        for (int i : turn) {
            bool asks = threads[i].state == POLLING;
            if (asks) threads[i].state = RUNNING;
            if (threads[i].state != RUNNING) continue;
            resume(threads[i]);
            moved |= !asks || threads[i].state != POLLING;
        }
        for (size_t i = 0; i < block.later.size(); i++)
            if (order.state == 0 || order.next() % 2) {
                block.later[i].run(block.later[i].data);
                block.later.erase(block.later.begin() + long(i));
                moved = true;
                break;
            }
        for (size_t first = 0; first < threads.size(); first += 32) {
            size_t last = first + 32 < threads.size() ? first + 32 : threads.size(), waiting = 0,
                   gone = 0;
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
        size_t count[6] = {};
        for (auto& t : threads) count[t.state]++;
        if (count[POLLING] && (moved || !block.later.empty())) continue;
        if (count[DONE] + count[AT_GRID_BARRIER] == threads.size()) return true;
        if (count[AT_BLOCK_BARRIER] + count[DONE] != threads.size()) {
            fprintf(stderr, "emulator: threads of block (%u, %u, %u) wait at different barriers\n",
                    block.index.x, block.index.y, block.index.z);
            failed = 1;
            return true;
        }
        for (auto& t : threads)
            if (t.state == AT_BLOCK_BARRIER) t.state = RUNNING;
    }
}

inline void prepare(Block& block, dim3 index, size_t shared) {
    block.index = index;
    block.later.clear();
    block.shared.assign(shared, 0xff);  // a NaN, as float and as bf16
    block.unfenced.assign(shared / 16 + 1, false);
    block.registers = 0;
    block.threads.resize(size_t(block_size.x) * block_size.y * block_size.z);
    for (size_t i = 0; i < block.threads.size(); i++) {
        Thread& t = block.threads[i];
        t.block = &block;
        t.linear = int(i);
        t.index = {unsigned(i % block_size.x), unsigned(i / block_size.x % block_size.y),
                   unsigned(i / block_size.x / block_size.y)};
        start(t);
    }
}

// Launch a kernel; `together` keeps all blocks alive, as a grid barrier needs. Returns 0, 1 if
// threads wait forever, or 2 if they break a rule of an instruction.
inline int run(void (*kernel)(void**), void** values, dim3 grid, dim3 block, size_t shared,
               unsigned seed, bool together) {
    entry = kernel, arguments = values, block_size = block, grid_size = grid;
    Order order{seed * 2654435769u};
    int failed = 0;
    broken = false;
    static std::vector<Block> kept(1);  // stacks are reused by the next launch
    size_t count = size_t(grid.x) * grid.y * grid.z;
    auto index = [&](size_t i) {
        return dim3{unsigned(i % grid.x), unsigned(i / grid.x % grid.y),
                    unsigned(i / grid.x / grid.y)};
    };
    if (!together) {
        for (size_t i = 0; i < count && !failed; i++) {
            prepare(kept[0], index(i), shared);
            advance(kept[0], order, failed);
            for (auto& t : kept[0].threads) failed |= t.state != DONE;
        }
        return broken ? 2 : failed;
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
