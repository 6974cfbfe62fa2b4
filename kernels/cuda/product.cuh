// What conv.cu and conv_sums.cu share: a product's sizes, the pixels of its rows, and its epilogue.
#pragma once
#include "common.cuh"

struct Product {  // the fields of STRUCTURE in product.py
    int m, n, k, splits, tiles_n;
    // The images that patches are gathered from: row m is pixel (image, p, q), and its tap (i, j)
    // reads pixel (p * mul + off + i * tap, ...).
    int height, width, step, channels, a_group;
    int mul_y, mul_x, off_y, off_x, tap_y, tap_x;
    Divisor by_channels, by_taps_x, by_columns, by_rows;
    // The weights of tap (i, j): w[(i0 + i * i_step) * kernel_x + j0 + j * j_step].
    int i0, i_step, j0, j_step, kernel_x, w_rows, w_step;
    // The target of C: pixel (p * out_mul + out_off, ...) of an image.
    int out_height, out_width, out_step, out_group, out_mul_y, out_mul_x, out_off_y, out_off_x;
    int activation, other_step;
};

// Row m of C: the pixel at which its patch begins, which may be outside of the image, with its
// index among all images' pixels; and the pixel that its result is written to. A row beyond the
// last is outside.
struct alignas(16) Row {
    int pixel, y, x, target;
};

#define OUTSIDE (-(1 << 29))

__device__ __forceinline__ Row row_of(int m, int end, const Product& g) {
    if (m >= end) return {0, OUTSIDE, 0, 0};
    int line = m / g.by_columns, image = line / g.by_rows;
    int q = m - line * int(g.by_columns.d), p = line - image * int(g.by_rows.d);
    int y = p * g.mul_y + g.off_y, x = q * g.mul_x + g.off_x;
    int target = (image * g.out_height + p * g.out_mul_y + g.out_off_y) * g.out_width +
                 q * g.out_mul_x + g.out_off_x;
    return {(image * g.height + y) * g.width + x, y, x, target};
}

// Tap (and channel) number k of `end`: its distance from the beginning of a patch in lines,
// columns, and indices of pixels.
struct Tap {
    int y, x, pixels, number, channel;
};

__device__ __forceinline__ Tap tap_of(int k, int end, const Product& g) {
    int tap = k / g.by_channels, i = tap / g.by_taps_x, y = i * g.tap_y,
        x = (tap - i * int(g.by_taps_x.d)) * g.tap_x;
    return {k < end ? y : 2 * OUTSIDE, x, y * g.width + x, tap, k - tap * g.channels};
}

// What is applied to C before it is written, if the pointers are not null: f(scale * C + bias +
// residual), or the gradient of the ReLU whose output is `relu_output`.
struct Epilogue {
    const float *scale, *bias;
    const REAL *residual, *relu_output;
};

__device__ __forceinline__ float finished(float v, long long pixel, int column, const Epilogue& e,
                                          const Product& g) {
    if (e.scale) v *= e.scale[column];
    if (e.bias) v += e.bias[column];
    if (e.residual) v += to_float(e.residual[pixel * g.other_step + column]);
    v = bounded(v, g.activation);
    return e.relu_output
               ? activation_grad(v, to_float(e.relu_output[pixel * g.other_step + column]), RELU)
               : v;
}
