// Sums after a convolution: the parts of a split sum, and the bias's gradient.
#include "product.cuh"
#include "sums.cuh"

// Add up the parts in their order and apply the epilogue. `channels`: the columns of all groups.
extern "C" __global__ void finish(const float* __restrict__ partial,
                                  const float* __restrict__ scale, const float* __restrict__ bias,
                                  const REAL* __restrict__ residual,
                                  const REAL* __restrict__ relu_output, REAL* __restrict__ out,
                                  int channels, Divisor by_channels, int count, Product g) {
    int i = THREAD;
    if (i >= count) return;
    int m = i / by_channels, at = i - m * channels;
    float sum = 0;
    for (int split = 0; split < g.splits; split++) sum += partial[(long long)split * count + i];
    long long target = g.out_width ? row_of(m, g.m, g).target : m;
    out[target * g.out_step + at] = from_float<REAL>(
        finished(sum, target, at, Epilogue{scale, bias, residual, relu_output}, g));
}

extern "C" __global__ void bias_sums(const REAL* __restrict__ dy, int step, int pixels,
                                     int channels, float* __restrict__ partial) {
    column_sums<1>(
        [&](int pixel, int c, Vector* v) { v[0] = load(dy + (long long)pixel * step + c); }, pixels,
        channels, partial);
}

extern "C" __global__ void bias_totals(const float* __restrict__ partial, int chunks, int channels,
                                       float* __restrict__ db) {
    int c = THREAD;
    if (c < channels) db[c] = total_of(partial, chunks, 1, 0, channels, c);
}
