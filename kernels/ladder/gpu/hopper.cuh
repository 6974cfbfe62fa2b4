// Hopper's asynchronous units: one function per PTX instruction (sm_90a). The tests have the same
// functions for the CPU (tests/emulator/hopper.h).
#pragma once

#ifndef EMULATED

// A barrier in shared memory. Its phase ends when all arrivals and all expected bytes are there.
typedef unsigned long long Barrier;

// What TMA needs to know of an array: `tensor_map` in runtime.py.
struct __align__(64) TensorMap {
    unsigned long long opaque[16];
};

__device__ __forceinline__ unsigned in_shared(const void* p) {
    return unsigned(__cvta_generic_to_shared(p));
}

__device__ __forceinline__ void barrier_init(Barrier* b, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(in_shared(b)), "r"(arrivals)
                 : "memory");
}

// Let TMA see the barriers that this thread has initialized.
__device__ __forceinline__ void barriers_ready() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void arrive(Barrier* b) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(in_shared(b)) : "memory");
}

// Arrive, and let the phase wait for so many bytes of TMA.
__device__ __forceinline__ void expect_bytes(Barrier* b, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(in_shared(b)),
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
            : "r"(in_shared(b)), "r"(parity)
            : "memory");
}

// Copy the box of an array (N, H, W, C) that begins at (n, h, v, c), with zeros outside of the
// array, and with its chunks of 16 bytes swizzled. Its bytes arrive at the barrier.
__device__ __forceinline__ void load_box(void* to, const TensorMap* map, Barrier* b, int c, int v,
                                         int h, int n) {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
        "[%1, {%3, %4, %5, %6}], [%2];" ::"r"(in_shared(to)),
        "l"(map), "r"(in_shared(b)), "r"(c), "r"(v), "r"(h), "r"(n)
        : "memory");
}

// The descriptor of a tile whose rows are 128 swizzled bytes, eight rows 1,024 bytes (PTX ISA,
// "Matrix descriptor"): address / 16, stride / 16 at bit 32, swizzle of 128 bytes at bit 62.
__device__ __forceinline__ unsigned long long operand(const void* p) {
    return (in_shared(p) & 0x3ffff) >> 4 | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

// The registers of the sums are ready for `multiply`.
__device__ __forceinline__ void products_begin() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

// Start d += a b^T by a warpgroup of 128 threads: a is 64x16, b 128x16.
__device__ __forceinline__ void multiply(float (&d)[64], unsigned long long a,
                                         unsigned long long b) {
    asm volatile(
        "{.reg .pred p; setp.ne.b32 p, 1, 0; "
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
        "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
        "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, "
        "%64, %65, p, 1, 1, 0, 0;}"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]),
        "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
        "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]),
        "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
        "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]),
        "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
        "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
        "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]),
        "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),
        "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]),
        "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]),
        "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]),
        "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]),
        "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]),
        "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]),
        "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
        : "l"(a), "l"(b));
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
