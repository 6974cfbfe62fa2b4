// shared tile: numbers that several threads of a block need are read from memory once.
//
// 16x16 threads compute 16 rows of 16 filters. They copy 16x16 numbers of each operand into shared
// memory, where each is used 16 times. C and K are multiples of 16.
#include "problem.cuh"

#define TILE 16

extern "C" __global__ void __launch_bounds__(TILE* TILE)
    convolve(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b,
             float* __restrict__ y, Problem p) {
    SHARED(float, patches);                   // [TILE pixels][TILE channels]
    float* weights = patches + TILE * TILE;   // [TILE channels][TILE filters]
    int t = threadIdx.x, row = t / TILE, column = t % TILE;
    int m = blockIdx.x * TILE + row, k = blockIdx.y * TILE + column;
    float sum = 0;
    for (int tap = 0; tap < p.taps; tap++) {
        int from = neighbor(m, tap, p);
        for (int c = 0; c < p.channels; c += TILE) {
            patches[t] = from < 0 ? 0.0f : x[from * p.channels + c + column];
            weights[t] = w[(tap * p.channels + c + row) * p.filters + k];
            __syncthreads();  // the tiles are complete
#pragma unroll
            for (int e = 0; e < TILE; e++)
                sum += patches[row * TILE + e] * weights[e * TILE + column];
            __syncthreads();  // nobody reads them any more
        }
    }
    if (m < p.pixels) y[m * p.filters + k] = finished(sum, b, k);
}

// The same product of A^T and dy: a step is over 16 pixels instead of 16 channels.
extern "C" __global__ void __launch_bounds__(TILE* TILE)
    grad_weight(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ dw,
                Problem p) {
    SHARED(float, patches);                     // [TILE pixels][TILE channels]
    float* gradients = patches + TILE * TILE;   // [TILE pixels][TILE filters]
    int t = threadIdx.x, row = t / TILE, column = t % TILE;
    int first = blockIdx.x * TILE, k = blockIdx.y * TILE + column;
    int tap = first / p.by_channels, c = first % p.by_channels;  // all 16 rows are of one tap
    float sum = 0;
    for (int start = 0; start < p.pixels; start += TILE) {
        int m = start + row, from = neighbor(m, tap, p);
        patches[t] = from < 0 ? 0.0f : x[from * p.channels + c + column];
        gradients[t] = m < p.pixels ? dy[m * p.filters + k] : 0.0f;
        __syncthreads();  // the tiles are complete
#pragma unroll
        for (int e = 0; e < TILE; e++)
            sum += patches[e * TILE + row] * gradients[e * TILE + column];
        __syncthreads();  // nobody reads them any more
    }
    dw[(first + row) * p.filters + k] = sum;
}
