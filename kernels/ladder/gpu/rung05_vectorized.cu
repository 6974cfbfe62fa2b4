// A rung of the ladder (rung05_vectorized.py): an 8x8 register tile, and 16 bytes per access.
#include "common.cuh"

#define SIDE 128  // pixels and filters of a block
#define INNER 8
#define OWN 8  // pixels and filters of a thread

__device__ __forceinline__ float4 four(const float* p) {
    return *reinterpret_cast<const float4*>(p);
}

// C and K are multiples of 4.
extern "C" __global__ void __launch_bounds__(256)
    vectorized(const float* __restrict__ x, const float* __restrict__ w,
               const float* __restrict__ b, float* __restrict__ y, int pixels, int height,
               int width, int channels, int filters, int size) {
    SHARED(float, patches);  // [INNER][SIDE]
    float* weights = patches + INNER * SIDE;
    int t = threadIdx.x, pad = size / 2, inner = size * size * channels;
    int row = t / 16 * OWN, column = t % 16 * OWN;
    // This thread copies four inner indices of one pixel, and four filters of one inner index.
    int pixel = blockIdx.x * SIDE + t / 2, own = t % 2 * 4;
    int v = pixel % width, h = pixel / width % height, n = pixel / width / height;
    int k = blockIdx.y * SIDE + t % 32 * 4;
    float total[OWN][OWN] = {};
    for (int start = 0; start < inner; start += INNER) {
        int a = start + own, c = a % channels, j = a / channels % size + v - pad,
            i = a / channels / size + h - pad;
        bool inside = a < inner && pixel < pixels && i >= 0 && i < height && j >= 0 && j < width;
        float4 p = {0, 0, 0, 0}, q = {0, 0, 0, 0};
        if (inside) p = four(x + ((long long)(n * height + i) * width + j) * channels + c);
        if (start + t / 32 < inner && k < filters)
            q = four(w + (long long)(start + t / 32) * filters + k);
        // Transposed, so that the reads below are of neighboring numbers.
        patches[(own + 0) * SIDE + t / 2] = p.x;
        patches[(own + 1) * SIDE + t / 2] = p.y;
        patches[(own + 2) * SIDE + t / 2] = p.z;
        patches[(own + 3) * SIDE + t / 2] = p.w;
        *reinterpret_cast<float4*>(weights + t / 32 * SIDE + t % 32 * 4) = q;
        __syncthreads();
#pragma unroll
        for (int e = 0; e < INNER; e++) {
            float4 a0 = four(patches + e * SIDE + row), a1 = four(patches + e * SIDE + row + 4);
            float4 b0 = four(weights + e * SIDE + column),
                   b1 = four(weights + e * SIDE + column + 4);
            float left[OWN] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
            float right[OWN] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
            for (int r = 0; r < OWN; r++)
#pragma unroll
                for (int s = 0; s < OWN; s++) total[r][s] += left[r] * right[s];
        }
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < OWN; r++)
#pragma unroll
        for (int s = 0; s < OWN; s += 4) {
            int m = blockIdx.x * SIDE + row + r, f = blockIdx.y * SIDE + column + s;
            if (m >= pixels || f >= filters) continue;
            float4 result = {
                fmaxf(total[r][s] + b[f], 0.0f), fmaxf(total[r][s + 1] + b[f + 1], 0.0f),
                fmaxf(total[r][s + 2] + b[f + 2], 0.0f), fmaxf(total[r][s + 3] + b[f + 3], 0.0f)};
            *reinterpret_cast<float4*>(y + (long long)m * filters + f) = result;
        }
}
