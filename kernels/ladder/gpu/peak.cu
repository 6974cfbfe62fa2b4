// The rates of the ordinary units and of memory: see peak.py.
#include "common.cuh"

// Eight independent chains of multiply-adds per thread.
extern "C" __global__ void __launch_bounds__(256)
    multiply_adds(float* out, float factor, int rounds) {
    float chain[8];
#pragma unroll
    for (int i = 0; i < 8; i++) chain[i] = float(threadIdx.x + i);
    for (int round = 0; round < rounds; round++)
#pragma unroll
        for (int i = 0; i < 8; i++) chain[i] = fmaf(chain[i], factor, 1.0f);
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) sum += chain[i];
    out[THREAD] = sum;
}

// 16 bytes per thread.
extern "C" __global__ void __launch_bounds__(256)
    copy(const uint4* __restrict__ from, uint4* __restrict__ to, int count) {
    int i = THREAD;
    if (i < count) to[i] = from[i];
}
