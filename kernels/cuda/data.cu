// A batch of bytes on the device: gathered in a given order, framed, normalized.
#include "common.cuh"

struct Frame {
    int height, width, channels;  // of the network's input
    int image_height, image_width, image_channels, top, left;
    Divisor by_channels, by_width, by_height;
};

// x[n, i, j, c] = pixel * factor[c] - shift[c], rounded twice, as on the host
// pixel = images[order[first + n], i - top, j - left, c], or 0 in the frame
// order: null for images that are in order
extern "C" __global__ void batch(const unsigned char* __restrict__ images,
                                 const int* __restrict__ order, int first,
                                 const float* __restrict__ factor, const float* __restrict__ shift,
                                 float* __restrict__ x, Frame g, int count) {
    int at = THREAD;
    if (at >= count) return;
    int m = at / g.by_channels, line = m / g.by_width, n = line / g.by_height;
    int c = at - m * g.channels, j = m - line * g.width - g.left, i = line - n * g.height - g.top;
    float pixel = 0;
    if (i >= 0 && i < g.image_height && j >= 0 && j < g.image_width) {
        long long image = order ? order[first + n] : first + n;
        long long row = (image * g.image_height + i) * g.image_width + j;
        pixel = float(images[row * g.image_channels + (g.image_channels == 1 ? 0 : c)]);
    }
    x[at] = __fsub_rn(__fmul_rn(pixel, factor[c]), shift[c]);
}

extern "C" __global__ void gather_labels(const long long* __restrict__ labels,
                                         const int* __restrict__ order, int first,
                                         long long* __restrict__ out, int count) {
    int n = THREAD;
    if (n < count) out[n] = labels[order[first + n]];
}
