// naive: one thread per result, neighboring threads of a warp at neighboring pixels.
//
// The 32 threads of a warp read x at addresses that are C numbers apart, and write y K numbers
// apart: each access touches 32 sectors of memory, and uses an eighth of each. (The weights'
// gradient has no such fault: its neighboring threads have neighboring channels.)
#include "problem.cuh"

extern "C" __global__ void __launch_bounds__(256)
    convolve(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b,
             float* __restrict__ y, Problem p) {
    int at = THREAD, m = at % p.pixels, k = at / p.pixels;
    if (k >= p.filters) return;
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
    int rows = p.taps * p.channels, at = THREAD, row = at % rows, k = at / rows;
    if (k >= p.filters) return;
    int tap = row / p.by_channels, c = row % p.by_channels;
    float sum = 0;
    for (int m = 0; m < p.pixels; m++) {
        int from = neighbor(m, tap, p);
        if (from >= 0) sum += x[from * p.channels + c] * dy[m * p.filters + k];
    }
    dw[row * p.filters + k] = sum;
}
