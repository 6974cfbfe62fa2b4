// A whole training step of LeNet-5 (models/lenet.py: `lenet5`, 32x32x1), forward, loss, backward and SGD with momentum: as nine kernels, and
// as one.
//
// Nine: a block takes one image through one part of the network; what a part leaves for the next lies in global memory. As a CUDA graph
// they are one launch for the host.
// One, `step`: a block takes one image through all of it and keeps its activations in shared memory (43 KB). After the one barrier that all
// blocks wait at, each thread adds up the gradient of a few weights over the images, in their order, and updates them.
#include "common.cuh"

#define PARTS 10
#define CLASSES 10

// C1.weight, C1.bias, C3, C5, F6, output; and their velocities.
struct Network {
    float* w[PARTS];
    float* v[PARTS];
};

struct Step {
    const float* images;  // [count][32][32]
    const long long* labels;
    Network net;
    float *activations, *scratch;  // [count][ACTIVATIONS], which `step` has no use for, and [count][SCRATCH]
    double* totals;
    float lr, momentum, weight_decay;
    int count;
};

// What an image leaves for the second half, floats from the start of its own scratch.
enum { DW1 = 0, DB1 = 150, DW3 = 156, DB3 = 2556, S4 = 2572, D5 = 2972, H5 = 3092, D6 = 3212, H6 = 3296, DZ = 3380, LOSS = 3390, HIT = 3391, SCRATCH = 3392 };

// An image's activations, and the gradients that follow them.
struct Image {
    float *x, *c1, *s2, *c3, *s4, *h5, *h6, *z, *d6, *d5, *ds4, *ds2;
};

__device__ __forceinline__ Image image_at(float* x) {
    float* c1 = x + 1024;    // 28x28x6, then its gradient
    float* s2 = c1 + 4704;   // 14x14x6
    float* c3 = s2 + 1176;   // 10x10x16, then its gradient
    float* s4 = c3 + 1600;   // 5x5x16
    float* h5 = s4 + 400;    // 120
    float* h6 = h5 + 120;    // 84
    float* z = h6 + 84;      // 10, then its gradient
    float* d6 = z + 12;      // 84
    float* d5 = d6 + 84;     // 120
    float* ds4 = d5 + 120;   // 400
    float* ds2 = ds4 + 400;  // 1176; before that, room for `dense`
    return {x, c1, s2, c3, s4, h5, h6, z, d6, d5, ds4, ds2};
}

#define ACTIVATIONS 10900

#define EACH(i, count) for (int i = threadIdx.x; i < (count); i += blockDim.x)

__device__ __forceinline__ float relu(float x) { return x > 0 ? x : 0.0f; }

// y[k] = sum over i of x[i] w[i][k] + b[k]; two threads share a sum.
__device__ __forceinline__ void dense(const float* x, int inputs, const float* w, const float* b, float* y, int outputs, bool rectified, float* room) {
    int k = threadIdx.x % 128, half = threadIdx.x / 128;
    float sum = 0;
    if (k < outputs)
        for (int i = half * inputs / 2; i < (half + 1) * inputs / 2; i++) sum += x[i] * w[i * outputs + k];
    room[threadIdx.x] = sum;
    __syncthreads();
    if (half == 0 && k < outputs) {
        sum = room[k] + room[k + 128] + b[k];
        y[k] = rectified ? relu(sum) : sum;
    }
    __syncthreads();
}

// dx[i] = sum over k of dy[k] w[i][k], a warp for each i.
__device__ __forceinline__ void dense_back(const float* dy, int outputs, const float* w, float* dx, int inputs) {
    for (int i = threadIdx.x / 32; i < inputs; i += blockDim.x / 32) {
        float sum = 0;
        for (int k = threadIdx.x % 32; k < outputs; k += 32) sum += dy[k] * w[i * outputs + k];
        sum = warp_sum(sum);
        if (threadIdx.x % 32 == 0) dx[i] = sum;
    }
    __syncthreads();
}

// 2x2 means of `channels` maps of side 2 * side.
__device__ __forceinline__ void pool(const float* x, float* y, int side, int channels) {
    EACH(at, side * side * channels) {
        int c = at % channels, q = at / channels % side, p = at / channels / side;
        const float* corner = x + (2 * p * 2 * side + 2 * q) * channels + c;
        y[at] = 0.25f * (corner[0] + corner[channels] + corner[2 * side * channels] + corner[(2 * side + 1) * channels]);
    }
    __syncthreads();
}

// The gradient of a rectified map before the ReLU, in place: a quarter of its mean's, where the unit fired.
__device__ __forceinline__ void pool_back(const float* dy, float* x, int side, int channels) {
    EACH(at, 4 * side * side * channels) {
        int c = at % channels, j = at / channels % (2 * side), i = at / channels / (2 * side);
        x[at] = x[at] > 0 ? 0.25f * dy[(i / 2 * side + j / 2) * channels + c] : 0.0f;
    }
    __syncthreads();
}

// Gradients of a 5x5 convolution's weights and biases for one image, to `out` (weights first).
__device__ __forceinline__ void conv_weights(const float* x, int width, int channels, const float* dy, int side, int filters, float* out) {
    EACH(at, 25 * channels * filters + filters) {
        float sum = 0;
        if (at >= 25 * channels * filters)
            for (int m = 0; m < side * side; m++) sum += dy[m * filters + at - 25 * channels * filters];
        else {
            int k = at % filters, c = at / filters % channels, j = at / filters / channels % 5, i = at / filters / channels / 5;
            for (int p = 0; p < side; p++)
                for (int q = 0; q < side; q++) sum += x[((p + i) * width + q + j) * channels + c] * dy[(p * side + q) * filters + k];
        }
        out[at] = sum;
    }
}

// All blocks wait for each other; counters[0] counts them. The launch is cooperative, so that all of them are there.
__device__ __forceinline__ void grid_barrier(unsigned* counters) {
#ifdef EMULATED
    emulator::wait(emulator::AT_GRID_BARRIER);
#else
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(counters, 1u);
        while (*(volatile unsigned*)counters < gridDim.x) {}
        __threadfence();
    }
    __syncthreads();
#endif
}

// ---- the nine parts ------------------------------------------------------------------------------------------------

__device__ __forceinline__ void first_maps(const Step& s, int n, const Image& im) {
    EACH(i, 1024) im.x[i] = s.images[n * 1024 + i];
    __syncthreads();
    EACH(at, 4704) {
        int k = at % 6, q = at / 6 % 28, p = at / 168;
        float sum = s.net.w[1][k];
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 5; j++) sum += im.x[(p + i) * 32 + q + j] * s.net.w[0][(i * 5 + j) * 6 + k];
        im.c1[at] = relu(sum);
    }
    __syncthreads();
    pool(im.c1, im.s2, 14, 6);
}

__device__ __forceinline__ void second_maps(const Step& s, int, const Image& im) {
    EACH(at, 1600) {
        int k = at % 16, q = at / 16 % 10, p = at / 160;
        float sum = s.net.w[3][k];
        for (int i = 0; i < 5; i++)
            for (int jc = 0; jc < 30; jc++) sum += im.s2[((p + i) * 14 + q) * 6 + jc] * s.net.w[2][(i * 30 + jc) * 16 + k];
        im.c3[at] = relu(sum);
    }
    __syncthreads();
    pool(im.c3, im.s4, 5, 16);
}

__device__ __forceinline__ void classifier(const Step& s, int, const Image& im) {
    dense(im.s4, 400, s.net.w[4], s.net.w[5], im.h5, 120, true, im.ds2);
    dense(im.h5, 120, s.net.w[6], s.net.w[7], im.h6, 84, true, im.ds2);
    dense(im.h6, 84, s.net.w[8], s.net.w[9], im.z, CLASSES, false, im.ds2);
}

// Softmax and cross-entropy: one warp.
__device__ __forceinline__ void loss(const Step& s, int n, const Image& im) {
    float *z = im.z, *own = s.scratch + (long long)n * SCRATCH;
    if (threadIdx.x < 32) {
        int label = int(s.labels[n]), best = 0;
        float logit = threadIdx.x < CLASSES ? z[threadIdx.x] : -INFINITE, largest = warp_max(logit);
        float sum = warp_sum(threadIdx.x < CLASSES ? expf(logit - largest) : 0.0f);
        for (int k = 1; k < CLASSES; k++)
            if (z[k] > z[best]) best = k;
        if (threadIdx.x == 0) own[LOSS] = logf(sum) - (z[label] - largest), own[HIT] = best == label;
        __syncwarp();
        if (threadIdx.x < CLASSES) z[threadIdx.x] = (expf(logit - largest) / sum - (int(threadIdx.x) == label)) / s.count;
    }
    __syncthreads();
}

__device__ __forceinline__ void classifier_back(const Step& s, int, const Image& im) {
    dense_back(im.z, CLASSES, s.net.w[8], im.d6, 84);
    EACH(i, 84) im.d6[i] = im.h6[i] > 0 ? im.d6[i] : 0.0f;
    __syncthreads();
    dense_back(im.d6, 84, s.net.w[6], im.d5, 120);
    EACH(i, 120) im.d5[i] = im.h5[i] > 0 ? im.d5[i] : 0.0f;
    __syncthreads();
    dense_back(im.d5, 120, s.net.w[4], im.ds4, 400);
}

__device__ __forceinline__ void second_maps_back(const Step& s, int, const Image& im) {
    pool_back(im.ds4, im.c3, 5, 16);
    EACH(at, 1176) {  // the gradient of S2: every result of C3 that saw the pixel
        int c = at % 6, v = at / 6 % 14, h = at / 84;
        float sum = 0;
        for (int i = max(0, h - 9); i <= min(4, h); i++)
            for (int j = max(0, v - 9); j <= min(4, v); j++)
                for (int k = 0; k < 16; k++) sum += im.c3[((h - i) * 10 + v - j) * 16 + k] * s.net.w[2][((i * 5 + j) * 6 + c) * 16 + k];
        im.ds2[at] = sum;
    }
    __syncthreads();
}

__device__ __forceinline__ void first_maps_back(const Step&, int, const Image& im) { pool_back(im.ds2, im.c1, 14, 6); }

__device__ __forceinline__ void leave(const Step& s, int n, const Image& im) {
    float* own = s.scratch + (long long)n * SCRATCH;
    conv_weights(im.x, 32, 1, im.c1, 28, 6, own + DW1);
    conv_weights(im.s2, 14, 6, im.c3, 10, 16, own + DW3);
    EACH(i, 400) own[S4 + i] = im.s4[i];
    EACH(i, 120) own[D5 + i] = im.d5[i], own[H5 + i] = im.h5[i];
    EACH(i, 84) own[D6 + i] = im.d6[i], own[H6 + i] = im.h6[i];
    EACH(i, CLASSES) own[DZ + i] = im.z[i];
}

__device__ __forceinline__ void update_weights(const Step& s) {
    // Where each part's gradient comes from: `given` of an image, or the product of an input and a gradient.
    const int sizes[PARTS] = {150, 6, 2400, 16, 48000, 120, 10080, 84, 840, 10}, outputs[PARTS] = {0, 0, 0, 0, 120, 120, 84, 84, 10, 10};
    const int given[PARTS] = {DW1, DB1, DW3, DB3, S4, -1, H5, -1, H6, -1}, gradient[PARTS] = {-1, -1, -1, -1, D5, D5, D6, D6, DZ, DZ};
#pragma unroll
    for (int part = 0; part < PARTS; part++)
        for (int at = THREAD; at < sizes[part]; at += int(gridDim.x * blockDim.x)) {
            int i = outputs[part] ? at / max(outputs[part], 1) : at, k = outputs[part] ? at % max(outputs[part], 1) : 0;
            const float* a = s.scratch + (given[part] < 0 ? 0 : given[part] + i);
            const float* b = s.scratch + (gradient[part] < 0 ? 0 : gradient[part] + k);
            float sum = 0;
            for (int m = 0; m < s.count; m++) {
                float left = given[part] < 0 ? 1.0f : a[(long long)m * SCRATCH];
                sum += gradient[part] < 0 ? left : left * b[(long long)m * SCRATCH];
            }
            float w = s.net.w[part][at], v = s.momentum * s.net.v[part][at] + sum + s.weight_decay * w;
            s.net.v[part][at] = v;
            s.net.w[part][at] = w - s.lr * v;
        }
    if (THREAD == 0) {
        double loss = 0, hits = 0;
        for (int m = 0; m < s.count; m++) loss += s.scratch[(long long)m * SCRATCH + LOSS], hits += s.scratch[(long long)m * SCRATCH + HIT];
        s.totals[0] += loss;
        s.totals[1] += hits;
    }
}

// ---- as nine kernels: a block for each image -----------------------------------------------------------------------

__device__ __forceinline__ Image own_image(const Step& s) { return image_at(s.activations + (long long)blockIdx.x * ACTIVATIONS); }

extern "C" __global__ void __launch_bounds__(256) c1_s2(Step s) { first_maps(s, blockIdx.x, own_image(s)); }
extern "C" __global__ void __launch_bounds__(256) c3_s4(Step s) { second_maps(s, blockIdx.x, own_image(s)); }
extern "C" __global__ void __launch_bounds__(256) c5_f6_output(Step s) { classifier(s, blockIdx.x, own_image(s)); }
extern "C" __global__ void __launch_bounds__(256) cross_entropy(Step s) { loss(s, blockIdx.x, own_image(s)); }
extern "C" __global__ void __launch_bounds__(256) c5_f6_output_back(Step s) { classifier_back(s, blockIdx.x, own_image(s)); }
extern "C" __global__ void __launch_bounds__(256) c3_s4_back(Step s) { second_maps_back(s, blockIdx.x, own_image(s)); }
extern "C" __global__ void __launch_bounds__(256) c1_s2_back(Step s) { first_maps_back(s, blockIdx.x, own_image(s)); }
extern "C" __global__ void __launch_bounds__(256) gradients(Step s) { leave(s, blockIdx.x, own_image(s)); }
extern "C" __global__ void __launch_bounds__(256) update(Step s) { update_weights(s); }

// ---- as one --------------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(256) step(Step s, unsigned* counters) {
    SHARED(float, room);
    Image im = image_at(room);
    int n = blockIdx.x;
    first_maps(s, n, im);
    second_maps(s, n, im);
    classifier(s, n, im);
    loss(s, n, im);
    classifier_back(s, n, im);
    second_maps_back(s, n, im);
    first_maps_back(s, n, im);
    leave(s, n, im);
    grid_barrier(counters);
    update_weights(s);
#ifndef EMULATED
    if (threadIdx.x == 0 && atomicAdd(counters + 1, 1u) == gridDim.x - 1) counters[0] = counters[1] = 0;  // for the next launch
#endif
}
