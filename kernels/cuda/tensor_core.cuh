// Tensor cores and asynchronous copies: one function per PTX instruction. The tests have the same
// functions for the CPU (tests/emulator/instructions.h).
//
// The elements in the registers of lane = 4 g + t (PTX ISA, "Matrix fragments for mma"):
//     d:               (g, 2t) (g, 2t+1) (g+8, 2t) (g+8, 2t+1)
//     tf32, 16x8x8:    a: (g, t) (g+8, t) (g, t+4) (g+8, t+4)
//                      b: (t, g) (t+4, g)
//     bf16, 16x8x16:   a: (g, 2t..) (g+8, 2t..) (g, 2t+8..) (g+8, 2t+8..), two per register
//                      b: (2t.., g) (2t+8.., g)
#pragma once

#ifndef EMULATED

// d += a b, in tf32: a is 16x8, b is 8x8.
__device__ __forceinline__ void mma_tf32(float (&d)[4], const unsigned (&a)[4],
                                         const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d += a b, in bf16: a is 16x16, b is 16x8.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const unsigned (&a)[4],
                                         const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// x rounded to the 10 bits of mantissa of tf32. NaN stays NaN; adding half a unit to its bits could
// turn it into 0.
__device__ __forceinline__ unsigned to_tf32(float x) {
    unsigned u;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(u) : "f"(x));
    return u;
}

// An address in shared memory, in bytes. Copies and waits clobber memory, so that the compiler
// moves no read across them.
typedef unsigned Shared;

__device__ __forceinline__ Shared shared_address(const void* p) {
    return Shared(__cvta_generic_to_shared(p));
}

// Load four 8x8 matrices of 16-bit numbers: lane l gives the address of row l % 8 of matrix l / 8,
// and gets (g, 2t..) of each.
__device__ __forceinline__ void ldmatrix(unsigned (&r)[4], Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row)
                 : "memory");
}

// The same, transposed: lane l gets (2t.., g).
__device__ __forceinline__ void ldmatrix_turned(unsigned (&r)[4], Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row)
                 : "memory");
}

// Copy 16 (or 4) bytes from global to shared memory, or zeros if `inside` is false. They are
// readable after copies_arrive.
__device__ __forceinline__ void copy16(Shared to, const void* from, bool inside) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
                 "r"(inside ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void copy4(Shared to, const void* from, bool inside) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from),
                 "r"(inside ? 4 : 0)
                 : "memory");
}

// Close a group of this thread's copies.
__device__ __forceinline__ void close_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Wait until at most N of this thread's groups are in flight.
template <int N>
__device__ __forceinline__ void copies_arrive() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

#endif
