// What the rungs of the convolution share: its shape, and which pixel a pixel reads.
//
//     x (N, H, W, C)    w (R, R, C, K)    y and dy (N, H, W, K)
//
// The pixels of all images are counted in one row, and so are the R R taps of the kernel. Row m of
// the matrix A (pixels, taps C) is the patch that pixel m reads:
//
//     convolve       y = A w, with bias and ReLU. The input gradient is the same product of dy and
//                    the turned kernel w'[tap, k, c] = w[taps - 1 - tap, c, k], without them.
//     grad_weight    dw = A^T dy: a sum over all pixels for each of the taps C K weights.
#pragma once
#include "common.cuh"

struct Problem {
    int pixels, channels, filters, taps;
    Divisor height, width, size, by_channels;  // common.cuh divides by one multiplication
};

// The pixel that pixel m reads at a tap, or -1 for the zeros around the image.
__device__ __forceinline__ int neighbor(int m, int tap, const Problem& p) {
    int pad = int(p.size.d) / 2, i = tap / p.size;
    int up = i - pad, over = tap - i * int(p.size.d) - pad;
    int line = m / p.width, h = line % p.height + up, v = m - line * int(p.width.d) + over;
    bool inside = m < p.pixels && unsigned(h) < p.height.d && unsigned(v) < p.width.d;
    return inside ? m + up * int(p.width.d) + over : -1;
}

// What becomes of a sum. The input gradient has no bias, b is null, and no ReLU.
__device__ __forceinline__ float finished(float sum, const float* b, int k) {
    return b ? activate(sum + b[k], RELU) : sum;
}

__device__ __forceinline__ float4 four(const float* p) {
    return *reinterpret_cast<const float4*>(p);
}
