// Resampling: every result is a weighted sum of pixels along rows and columns, y = R x S^T. The
// gradient is the same with both matrices transposed: it gathers, too.
#include "common.cuh"

// The first and the last + 1 column of each row of a matrix (count, size) that have a weight. One
// warp per row.
extern "C" __global__ void ranges(const float* __restrict__ matrix, int count, int size,
                                  int* __restrict__ found) {
    int row = THREAD / 32, lane = threadIdx.x % 32;
    if (row >= count) return;
    int first = size, last = 0;
    for (int i = lane; i < size; i += 32)
        if (matrix[(long long)row * size + i] != 0) {
            first = min(first, i);
            last = i + 1;
        }
    for (int step = 16; step; step >>= 1) {
        first = min(first, __shfl_xor_sync(0xffffffffu, first, step));
        last = max(last, __shfl_xor_sync(0xffffffffu, last, step));
    }
    if (lane) return;
    found[2 * row] = first;
    found[2 * row + 1] = last;
}

struct Matrix {
    int count, size;
};

struct Sizes {
    int x_step, y_step;
    Matrix rows, columns;
    Divisor by_vectors, by_columns, by_rows;
};

struct Range {
    int first, last;
};

// The columns of a row that have a weight. A null pointer is the identity, here and below.
__device__ __forceinline__ Range range(const int* ranges, int row) {
    if (!ranges) return {row, row + 1};
    return {ranges[2 * row], ranges[2 * row + 1]};
}

__device__ __forceinline__ float weight(const float* matrix, Matrix m, int row, int i) {
    return matrix ? matrix[(long long)row * m.size + i] : 1.0f;
}

// A thread per V neighboring channels of a result.
extern "C" __global__ void resample(const REAL* __restrict__ x, const float* __restrict__ rows,
                                    const int* __restrict__ row_ranges,
                                    const float* __restrict__ columns,
                                    const int* __restrict__ column_ranges, REAL* __restrict__ y,
                                    Sizes g, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    int m = i / g.by_vectors, line = m / g.by_columns, n = line / g.by_rows,
        c = (i - m * int(g.by_vectors.d)) * V, p = line - n * g.rows.count,
        q = m - line * g.columns.count;
    Range down = range(row_ranges, p), across = range(column_ranges, q);
    Vector sum = splat(0);
    for (int a = down.first; a < down.last; a++) {
        float r = weight(rows, g.rows, p, a);
        const REAL* pixel = x + (long long)(n * g.rows.size + a) * g.columns.size * g.x_step + c;
        for (int b = across.first; b < across.last; b++) {
            float w = r * weight(columns, g.columns, q, b);
            Vector v = load(pixel + (long long)b * g.x_step);
            EACH_LANE(l) sum.at[l] += w * v.at[l];
        }
    }
    store(y + (long long)m * g.y_step + c, sum);
}
