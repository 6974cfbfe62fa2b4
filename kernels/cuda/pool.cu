// Pooling. Each thread computes V neighboring channels of one pixel. Gradients gather, so that no
// two threads write to one address.
#include "common.cuh"

struct Window {
    int images, height, width, channels, rows, columns, kh, kw, sy, sx, top, left, bottom, right;
    Divisor by_vectors, by_columns, by_rows, by_width, by_height, by_sy, by_sx;
};

// The pixel (n, p, q) of a result and the first of its V channels.
struct Place {
    int n, p, q, c;
};

__device__ __forceinline__ Place result_place(int i, const Window& g) {
    int m = i / g.by_vectors, line = m / g.by_columns, n = line / g.by_rows;
    return {n, line - n * g.rows, m - line * g.columns, (i - m * int(g.by_vectors.d)) * V};
}

__device__ __forceinline__ Place image_place(int i, const Window& g) {
    int m = i / g.by_vectors, line = m / g.by_width, n = line / g.by_height;
    return {n, line - n * g.height, m - line * g.width, (i - m * int(g.by_vectors.d)) * V};
}

// The windows [first, last) that cover position h. They are `size` long and `stride` apart; the
// first begins at -before.
__device__ __forceinline__ int first_window(int h, int before, int size, Divisor stride) {
    return h + before < size ? 0 : (h + before - size) / stride + 1;
}

__device__ __forceinline__ int last_window(int h, int before, int count, Divisor stride) {
    return min((h + before) / stride + 1, count);
}

// The sum of give(p, q) over the windows that cover a pixel of the image.
template <class F>
__device__ __forceinline__ Vector over_windows(const Place& at, const Window& g, F give) {
    int p_last = last_window(at.p, g.top, g.rows, g.by_sy),
        q_last = last_window(at.q, g.left, g.columns, g.by_sx);
    Vector sum = splat(0);
    for (int p = first_window(at.p, g.top, g.kh, g.by_sy); p < p_last; p++)
        for (int q = first_window(at.q, g.left, g.kw, g.by_sx); q < q_last; q++) {
            Vector v = give(p, q);
            EACH_LANE(l) sum.at[l] += v.at[l];
        }
    return sum;
}

extern "C" __global__ void max_pool(const REAL* __restrict__ x, int x_step, REAL* __restrict__ y,
                                    int y_step, unsigned char* __restrict__ argmax, Window g,
                                    int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    Place at = result_place(i, g);
    int y0 = at.p * g.sy - g.top, x0 = at.q * g.sx - g.left;
    int i_first = max(0, -y0), i_last = min(g.kh, g.height - y0), j_first = max(0, -x0),
        j_last = min(g.kw, g.width - x0);
    Vector best = splat(-INFINITE);
    unsigned char winner[V];
    EACH_LANE(l) winner[l] = (unsigned char)(i_first * g.kw + j_first);
    for (int r = i_first; r < i_last; r++)
        for (int s = j_first; s < j_last; s++) {
            Vector v = load(
                x + ((long long)(at.n * g.height + y0 + r) * g.width + x0 + s) * x_step + at.c);
            EACH_LANE(l)
                if (v.at[l] > best.at[l] || (v.at[l] != v.at[l] && best.at[l] == best.at[l])) {
                    best.at[l] = v.at[l];
                    winner[l] = (unsigned char)(r * g.kw + s);
                }
        }
    long long pixel = (long long)(at.n * g.rows + at.p) * g.columns + at.q;
    store(y + pixel * y_step + at.c, best);
    Packed<unsigned char> packed;
    EACH_LANE(l) packed.at[l] = winner[l];
    *reinterpret_cast<Packed<unsigned char>*>(argmax + pixel * g.channels + at.c) = packed;
}

extern "C" __global__ void max_pool_grad(const REAL* __restrict__ dy, int dy_step,
                                         const unsigned char* __restrict__ argmax,
                                         REAL* __restrict__ dx, Window g, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    Place at = image_place(i, g);
    Vector sum = over_windows(at, g, [&](int p, int q) {
        long long pixel = (long long)(at.n * g.rows + p) * g.columns + q;
        unsigned char cell =
            (unsigned char)((at.p + g.top - p * g.sy) * g.kw + at.q + g.left - q * g.sx);
        Packed<unsigned char> winner =
            *reinterpret_cast<const Packed<unsigned char>*>(argmax + pixel * g.channels + at.c);
        Vector v = load(dy + pixel * dy_step + at.c);
        EACH_LANE(l)
            if (winner.at[l] != cell) v.at[l] = 0;
        return v;
    });
    store(dx + (long long)i * V, sum);
}

// Adaptive windows: window i of `rows` covers the rows floor(i H / rows) to ceil((i + 1) H / rows)
// - 1; columns likewise. Result or pixel number i of a kernel, a vector of V channels.
struct Adaptive {
    int height, width, channels, rows, columns;
    Divisor by_vectors, by_rows, by_columns, by_height, by_width;
};

__device__ __forceinline__ int start_of(int i, int size, Divisor count) {
    return i * size / count;
}

__device__ __forceinline__ int end_of(int i, int size, Divisor count) {
    return ((i + 1) * size + int(count.d) - 1) / count;
}

extern "C" __global__ void adaptive_max(const REAL* __restrict__ x, int x_step,
                                        REAL* __restrict__ y, int y_step, int* __restrict__ argmax,
                                        Adaptive g, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    int m = i / g.by_vectors, line = m / g.by_columns, n = line / g.by_rows,
        c = (i - m * int(g.by_vectors.d)) * V, p = line - n * g.rows, q = m - line * g.columns;
    int left = start_of(q, g.width, g.by_columns), right = end_of(q, g.width, g.by_columns);
    Vector best = splat(-INFINITE);
    int winner[V], cell = 0;
    EACH_LANE(l) winner[l] = 0;
    for (int r = start_of(p, g.height, g.by_rows); r < end_of(p, g.height, g.by_rows); r++)
        for (int s = left; s < right; s++, cell++) {
            Vector v = load(x + ((long long)(n * g.height + r) * g.width + s) * x_step + c);
            EACH_LANE(l)
                if (v.at[l] > best.at[l] || (v.at[l] != v.at[l] && best.at[l] == best.at[l])) {
                    best.at[l] = v.at[l];
                    winner[l] = cell;
                }
        }
    store(y + (long long)m * y_step + c, best);
    EACH_LANE(l) argmax[(long long)m * g.channels + c + l] = winner[l];
}

extern "C" __global__ void adaptive_max_grad(const REAL* __restrict__ dy, int dy_step,
                                             const int* __restrict__ argmax,
                                             REAL* __restrict__ dx, Adaptive g, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    int m = i / g.by_vectors, line = m / g.by_width, n = line / g.by_height,
        c = (i - m * int(g.by_vectors.d)) * V, h = line - n * g.height, w = m - line * g.width;
    int q_first = start_of(w, g.columns, g.by_width), q_end = end_of(w, g.columns, g.by_width);
    Vector sum = splat(0);
    // The windows that cover a pixel are those that pixels would be for windows.
    for (int p = start_of(h, g.rows, g.by_height); p < end_of(h, g.rows, g.by_height); p++)
        for (int q = q_first; q < q_end; q++) {
            int left = start_of(q, g.width, g.by_columns),
                across = end_of(q, g.width, g.by_columns) - left,
                cell = (h - start_of(p, g.height, g.by_rows)) * across + w - left;
            long long window = (long long)(n * g.rows + p) * g.columns + q;
            Vector v = load(dy + window * dy_step + c);
            EACH_LANE(l)
                if (argmax[window * g.channels + c + l] == cell) sum.at[l] += v.at[l];
        }
    store(dx + (long long)i * V, sum);
}

// 1 / (the cells that the mean of window (p, q) counts): with the padding, or only real pixels.
__device__ __forceinline__ float inverse_count(int p, int q, const Window& g, int counts_padding) {
    int y0 = p * g.sy - g.top, x0 = q * g.sx - g.left;
    int top = counts_padding ? -g.top : 0, bottom = g.height + (counts_padding ? g.bottom : 0);
    int left = counts_padding ? -g.left : 0, right = g.width + (counts_padding ? g.right : 0);
    return 1.0f /
           float((min(y0 + g.kh, bottom) - max(y0, top)) * (min(x0 + g.kw, right) - max(x0, left)));
}

extern "C" __global__ void avg_pool(const REAL* __restrict__ x, int x_step, REAL* __restrict__ y,
                                    int y_step, Window g, int vectors, int counts_padding) {
    int i = THREAD;
    if (i >= vectors) return;
    Place at = result_place(i, g);
    int y0 = at.p * g.sy - g.top, x0 = at.q * g.sx - g.left;
    Vector sum = splat(0);
    for (int r = max(0, -y0); r < min(g.kh, g.height - y0); r++)
        for (int s = max(0, -x0); s < min(g.kw, g.width - x0); s++) {
            Vector v = load(
                x + ((long long)(at.n * g.height + y0 + r) * g.width + x0 + s) * x_step + at.c);
            EACH_LANE(l) sum.at[l] += v.at[l];
        }
    float factor = inverse_count(at.p, at.q, g, counts_padding);
    EACH_LANE(l) sum.at[l] *= factor;
    store(y + ((long long)(at.n * g.rows + at.p) * g.columns + at.q) * y_step + at.c, sum);
}

extern "C" __global__ void avg_pool_grad(const REAL* __restrict__ dy, int dy_step,
                                         REAL* __restrict__ dx, Window g, int vectors,
                                         int counts_padding) {
    int i = THREAD;
    if (i >= vectors) return;
    Place at = image_place(i, g);
    Vector sum = over_windows(at, g, [&](int p, int q) {
        Vector v = load(dy + ((long long)(at.n * g.rows + p) * g.columns + q) * dy_step + at.c);
        float share = inverse_count(p, q, g, counts_padding);
        EACH_LANE(l) v.at[l] *= share;
        return v;
    });
    store(dx + (long long)i * V, sum);
}

// The mean of each map. A block has (columns, rows) threads. blockIdx.x is the image, because a
// grid may have more than 65,535 blocks only along x.
extern "C" __global__ void global_avg(const REAL* __restrict__ x, int x_step, REAL* __restrict__ y,
                                      int pixels, int channels, float factor) {
    SHARED(float, sums);  // [blockDim.y][blockDim.x * V]
    int c = (blockIdx.y * blockDim.x + threadIdx.x) * V, width = blockDim.x * V;
    Vector sum = splat(0);
    if (c < channels)
        for (int m = threadIdx.y; m < pixels; m += blockDim.y) {
            Vector v = load(x + ((long long)blockIdx.x * pixels + m) * x_step + c);
            EACH_LANE(l) sum.at[l] += v.at[l];
        }
    EACH_LANE(l) sums[threadIdx.y * width + threadIdx.x * V + l] = sum.at[l];
    __syncthreads();
    if (threadIdx.y || c >= channels) return;
    for (int row = 1; row < int(blockDim.y); row++)
        EACH_LANE(l) sum.at[l] += sums[row * width + threadIdx.x * V + l];
    EACH_LANE(l) sum.at[l] *= factor;
    store(y + (long long)blockIdx.x * channels + c, sum);
}

extern "C" __global__ void global_avg_grad(const REAL* __restrict__ dy, REAL* __restrict__ dx,
                                           Divisor by_vectors, Divisor by_pixels, int vectors,
                                           float factor) {
    int i = THREAD;
    if (i >= vectors) return;
    int m = i / by_vectors;
    Vector v =
        load(dy + ((long long)(m / by_pixels) * by_vectors.d + (i - m * int(by_vectors.d))) * V);
    EACH_LANE(l) v.at[l] *= factor;
    store(dx + (long long)i * V, v);
}
