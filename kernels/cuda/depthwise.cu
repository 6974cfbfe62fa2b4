// Depthwise convolution: one group and one filter per channel (Howard et al. 2017, section 3.1).
//
// Memory limits it, so there is no matrix product: a thread computes V channels of ACROSS
// neighboring results, and each pixel of a row that it reads is used for all of them.
#include "sums.cuh"

// Cells of a row of the kernel, and pixels from one result to the next.
#ifndef CELLS
#define CELLS 3
#endif
#ifndef STEP
#define STEP 1
#endif
#define ACROSS 4

// Results (n, p, q), `rows` x `columns` per image, that read the same cells. Result (p, q) reads
// the pixels (p * step_y + off_y + i * move_y, q * STEP + off_x + j) for the kernel's cells
// (cell_y + i * between_y, cell_x + j * between_x), and is written to the pixel
// (p * mul_y + first_y, q * mul_x + first_x) of the output. These are the fields of SUMS in
// depthwise.py.
struct Sums {
    int height, width, pixel_step, channels, rows, columns;
    int cells_y, step_y, off_y, off_x, move_y, cell_y, between_y, cell_x, between_x, kernel_x;
    int out_height, out_width, out_step, mul_y, mul_x, first_y, first_x, other_step, activation;
    Divisor by_vectors, by_tiles, by_rows;
};

// f(scale * v + bias + residual), or the gradient of the ReLU whose output is `relu_output`.
struct Epilogue {
    const float *scale, *bias;
    const REAL *residual, *relu_output;
};

__device__ __forceinline__ Vector finished(Vector v, long long pixel, int c, const Epilogue& e,
                                           const Sums& g) {
    Vector scale = e.scale ? load(e.scale + c) : splat(1),
           bias = e.bias ? load(e.bias + c) : splat(0);
    EACH_LANE(l) v.at[l] = v.at[l] * scale.at[l] + bias.at[l];
    if (e.residual) {
        Vector other = load(e.residual + pixel * g.other_step + c);
        EACH_LANE(l) v.at[l] += other.at[l];
    }
    EACH_LANE(l) v.at[l] = bounded(v.at[l], g.activation);
    if (e.relu_output) {
        Vector y = load(e.relu_output + pixel * g.other_step + c);
        EACH_LANE(l) v.at[l] = activation_grad(v.at[l], y.at[l], RELU);
    }
    return v;
}

// One launch is a forward pass, or the part of an input gradient whose pixels read the same cells.
extern "C" __global__ void sums(const REAL* __restrict__ x, const float* __restrict__ w,
                                const float* __restrict__ scale, const float* __restrict__ bias,
                                const REAL* __restrict__ residual,
                                const REAL* __restrict__ relu_output, REAL* __restrict__ y, Sums g,
                                int threads) {
    int thread = THREAD;
    if (thread >= threads) return;
    int tile = thread / g.by_vectors, line = tile / g.by_tiles, n = line / g.by_rows;
    int c = (thread - tile * int(g.by_vectors.d)) * V, p = line - n * g.rows,
        q = (tile - line * int(g.by_tiles.d)) * ACROSS, left = q * STEP + g.off_x;
    Vector sum[ACROSS];
#pragma unroll
    for (int t = 0; t < ACROSS; t++) sum[t] = splat(0);
    for (int i = 0; i < g.cells_y; i++) {
        int row = p * g.step_y + g.off_y + i * g.move_y;
        if (row < 0 || row >= g.height) continue;
        Vector weight[CELLS];
        int cell = (g.cell_y + i * g.between_y) * g.kernel_x + g.cell_x;
#pragma unroll
        for (int j = 0; j < CELLS; j++)
            weight[j] = load(w + (long long)(cell + j * g.between_x) * g.channels + c);
        const REAL* pixels = x + (long long)(n * g.height + row) * g.width * g.pixel_step + c;
#pragma unroll
        for (int u = 0; u < (ACROSS - 1) * STEP + CELLS; u++) {
            if (left + u < 0 || left + u >= g.width) continue;
            Vector v = load(pixels + (long long)(left + u) * g.pixel_step);
#pragma unroll
            for (int t = 0; t < ACROSS; t++) {
                int j = u - t * STEP;  // the cell through which result t reads this pixel
                if (j < 0 || j >= CELLS) continue;
                EACH_LANE(l) sum[t].at[l] += v.at[l] * weight[j].at[l];
            }
        }
    }
    long long start =
        (long long)(n * g.out_height + p * g.mul_y + g.first_y) * g.out_width + g.first_x;
#pragma unroll
    for (int t = 0; t < ACROSS; t++) {
        if (q + t >= g.columns) continue;
        long long pixel = start + (q + t) * g.mul_x;
        Vector v = finished(sum[t], pixel, c, Epilogue{scale, bias, residual, relu_output}, g);
        store(y + pixel * g.out_step + c, v);
    }
}


// The pixels that dy, `rows` x `columns` results per image, reads.
struct Read {
    int height, width, step_y, off_y, off_x, move_y;
    Divisor by_columns, by_rows;
};

// partial[i][chunk][j][c] = the part of a chunk of dy in the weight of cell (i, j); blockIdx.z is
// i, the row of the kernel.
extern "C" __global__ void weight_sums(const REAL* __restrict__ dy, int dy_step, int pixels,
                                       int channels, const REAL* __restrict__ x, Read g,
                                       float* __restrict__ partial) {
    column_sums<CELLS>(
        [&](int pixel, int c, Vector* v) {
            int line = pixel / g.by_columns, n = line / g.by_rows;
            int row = (line - n * int(g.by_rows.d)) * g.step_y + g.off_y + blockIdx.z * g.move_y;
            int left = (pixel - line * int(g.by_columns.d)) * STEP + g.off_x;
            bool inside = row >= 0 && row < g.height;
            Vector d = load(dy + (long long)pixel * dy_step + c);
#pragma unroll
            for (int j = 0; j < CELLS; j++) {
                v[j] = splat(0);
                if (!inside || left + j < 0 || left + j >= g.width) continue;
                v[j] = load(x + ((long long)(n * g.height + row) * g.width + left + j) * channels +
                            c);
                EACH_LANE(l) v[j].at[l] *= d.at[l];
            }
        },
        pixels, channels, partial + (long long)blockIdx.z * gridDim.y * CELLS * channels);
}

extern "C" __global__ void weight_totals(const float* __restrict__ partial, int chunks,
                                         Divisor by_channels, int count, float* __restrict__ dw) {
    int k = THREAD;
    if (k >= count) return;
    int channels = int(by_channels.d), cell = k / by_channels, i = cell / CELLS;
    dw[k] = total_of(partial + (long long)i * chunks * CELLS * channels, chunks, CELLS,
                     cell - i * CELLS, channels, k - cell * channels);
}
