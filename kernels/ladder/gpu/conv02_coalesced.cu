// coalesced: neighboring threads of a warp at neighboring filters.
//
// Only the order of the threads differs from the first rung. A warp now reads 32 neighboring
// weights, and writes 32 neighboring results, in one transaction each. All of its threads read the
// same x, which is a broadcast.
#include "problem.cuh"

extern "C" __global__ void __launch_bounds__(256)
    convolve(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b,
             float* __restrict__ y, Problem p) {
    int at = THREAD, m = at / p.filters, k = at % p.filters;
    if (m >= p.pixels) return;
    float sum = 0;
    for (int tap = 0; tap < p.taps; tap++) {
        int from = neighbor(m, tap, p);
        if (from < 0) continue;
        for (int c = 0; c < p.channels; c++)
            sum += x[from * p.channels + c] * w[(tap * p.channels + c) * p.filters + k];
    }
    y[m * p.filters + k] = finished(sum, b, k);
}

extern "C" __global__ void __launch_bounds__(256)
    grad_weight(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ dw,
                Problem p) {
    int at = THREAD, row = at / p.filters, k = at % p.filters;
    if (row >= p.taps * p.channels) return;
    int tap = row / p.by_channels, c = row % p.by_channels;
    float sum = 0;
    for (int m = 0; m < p.pixels; m++) {
        int from = neighbor(m, tap, p);
        if (from >= 0) sum += x[from * p.channels + c] * dy[m * p.filters + k];
    }
    dw[row * p.filters + k] = sum;
}
