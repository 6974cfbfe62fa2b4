// Hopper's asynchronous units: one function per PTX instruction (sm_90a). The tests have the same
// functions for the CPU (tests/emulator/hopper.h).
#pragma once
#include "tensor_core.cuh"

#ifndef EMULATED

// A barrier in shared memory. Its phase ends when all arrivals and all expected bytes are there.
typedef unsigned long long Barrier;

// The description of an array that TMA reads: see tensor_map.py.
struct __align__(64) TensorMap {
    unsigned long long opaque[16];
};

__device__ __forceinline__ void barrier_init(Barrier* b, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(arrivals)
                 : "memory");
}

// Make the barriers that this thread has initialized visible to TMA.
__device__ __forceinline__ void barriers_ready() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void arrive(Barrier* b) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
}

// Arrive, and let the phase wait for so many bytes of TMA.
__device__ __forceinline__ void expect_bytes(Barrier* b, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b)),
                 "r"(bytes)
                 : "memory");
}

// Wait for the end of the phase of this parity; the first phase has parity 0.
__device__ __forceinline__ void wait_for(Barrier* b, int parity) {
    unsigned done = 0;
    while (!done)
        asm volatile(
            "{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; "
            "selp.u32 %0, 1, 0, p;}"
            : "=r"(done)
            : "r"(shared_address(b)), "r"(parity)
            : "memory");
}

// Copy the box of an array (N, H, W, C) that begins at (n, h, v, c), with zeros outside of the
// array, and with its chunks of 16 bytes swizzled. Its bytes arrive at the barrier.
__device__ __forceinline__ void load_box(void* to, const TensorMap* map, Barrier* b, int c, int v,
                                         int h, int n) {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
        "[%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(to)),
        "l"(map), "r"(shared_address(b)), "r"(c), "r"(v), "r"(h), "r"(n)
        : "memory");
}

// Copy `bytes`, a multiple of 16, from global memory. They arrive at the barrier.
__device__ __forceinline__ void load_bytes(void* to, const void* from, int bytes, Barrier* b) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, "
        "[%3];" ::"r"(shared_address(to)),
        "l"(from), "r"(bytes), "r"(shared_address(b))
        : "memory");
}

// Make what this thread has written to shared memory, also by copy16, visible to the tensor cores:
// they read through another path ("async proxy"), which does not wait for ordinary writes.
__device__ __forceinline__ void writes_ready() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// A warpgroup has FROM registers per thread, and gives some back, or takes what others have given.
template <int FROM, int TO>
__device__ __forceinline__ void change_registers() {
    if constexpr (TO < FROM) asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(TO));
    else asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(TO));
}

// The descriptor of a tile whose rows are 128 swizzled bytes, eight rows 1,024 bytes (PTX ISA,
// "Matrix descriptor"): address / 16, stride / 16 at bit 32, swizzle of 128 bytes at bit 62.
__device__ __forceinline__ unsigned long long operand(const void* p) {
    return (shared_address(p) & 0x3ffff) >> 4 | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

// The same of a tile whose other axis is the inner index: eight of them make 1,024 bytes, and blocks
// of 64 rows or columns are 8,192 bytes apart.
__device__ __forceinline__ unsigned long long turned_operand(const void* p) {
    return (shared_address(p) & 0x3ffff) >> 4 | 512ull << 16 | 64ull << 32 | 1ull << 62;
}

// The registers of the sums are ready for `multiply`.
__device__ __forceinline__ void products_begin() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

// Start d += a b^T by a warpgroup of 128 threads: a is 64x16, b is 64x16, 128x16 or 256x16. Operands
// are TURNED or not.
#define NAMES_32                                                                                  \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"                                       \
    ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define NAMES_64                                                                                  \
    NAMES_32                                                                                      \
    ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"                            \
    ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define NAMES_128                                                                                 \
    NAMES_64                                                                                      \
    ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"                            \
    ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"                            \
    ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111"                \
    ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define SUMS_4(i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define SUMS_16(i) SUMS_4(i), SUMS_4((i) + 4), SUMS_4((i) + 8), SUMS_4((i) + 12)
#define SUMS_32 SUMS_16(0), SUMS_16(16)
#define SUMS_64 SUMS_32, SUMS_16(32), SUMS_16(48)
#define SUMS_128 SUMS_64, SUMS_16(64), SUMS_16(80), SUMS_16(96), SUMS_16(112)
#define WGMMA(shape, names, a, b, turned, ...)                                                    \
    asm volatile("{.reg .pred p; setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned." shape        \
                 ".f32.bf16.bf16 {" names "}, " a ", " b ", p, 1, 1, " turned ", " turned ";}"    \
                 : __VA_ARGS__                                                                    \
                 : "l"(from_a), "l"(from_b), "n"(int(TURNED)))

template <bool TURNED = false>
__device__ __forceinline__ void multiply(float (&d)[32], unsigned long long from_a,
                                         unsigned long long from_b) {
    WGMMA("m64n64k16", NAMES_32, "%32", "%33", "%34", SUMS_32);
}

template <bool TURNED = false>
__device__ __forceinline__ void multiply(float (&d)[64], unsigned long long from_a,
                                         unsigned long long from_b) {
    WGMMA("m64n128k16", NAMES_64, "%64", "%65", "%66", SUMS_64);
}

template <bool TURNED = false>
__device__ __forceinline__ void multiply(float (&d)[128], unsigned long long from_a,
                                         unsigned long long from_b) {
    WGMMA("m64n256k16", NAMES_128, "%128", "%129", "%130", SUMS_128);
}

__device__ __forceinline__ void products_close() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Wait until at most N of the closed groups of products are under way.
template <int N>
__device__ __forceinline__ void products_arrive() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

#endif
