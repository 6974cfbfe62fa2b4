// LeNet-5's memory, and the operations that its parts are made of. Each is computed by one block
// for one image.
#pragma once
#include "common.cuh"

#define PARTS 10
#define CLASSES 10

// Weights and biases of C1, C3, C5, F6 and the output, and their velocities.
struct Network {
    float* w[PARTS];
    float* v[PARTS];
};

struct Step {
    const float* images;  // [count][32][32]
    const long long* labels;
    Network net;
    float* activations;  // [count][ACTIVATIONS], unused by `step`
    float* scratch;      // [count][SCRATCH]
    double* totals;
    float lr, momentum, weight_decay;
    int count;
};

// The parts of an image's scratch memory, from which the weights are updated.
enum {
    DW1 = 0,
    DB1 = 150,
    DW3 = 156,
    DB3 = 2556,
    S4 = 2572,
    D5 = 2972,
    H5 = 3092,
    D6 = 3212,
    H6 = 3296,
    DZ = 3380,
    LOSS = 3390,
    HIT = 3391,
    SCRATCH = 3392
};

// The activations of an image, and their gradients.
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

// y[k] = sum_i x[i] w[i][k] + b[k]; two threads share a sum.
__device__ __forceinline__ void dense(const float* x, int inputs, const float* w, const float* b,
                                      float* y, int outputs, bool rectified, float* room) {
    int k = threadIdx.x % 128, half = threadIdx.x / 128;
    float sum = 0;
    if (k < outputs)
        for (int i = half * inputs / 2; i < (half + 1) * inputs / 2; i++)
            sum += x[i] * w[i * outputs + k];
    room[threadIdx.x] = sum;
    __syncthreads();
    if (half == 0 && k < outputs) {
        sum = room[k] + room[k + 128] + b[k];
        y[k] = rectified ? relu(sum) : sum;
    }
    __syncthreads();
}

// dx[i] = sum_k dy[k] w[i][k], one warp per i.
__device__ __forceinline__ void dense_back(const float* dy, int outputs, const float* w, float* dx,
                                           int inputs) {
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
        y[at] = 0.25f * (corner[0] + corner[channels] + corner[2 * side * channels] +
                         corner[(2 * side + 1) * channels]);
    }
    __syncthreads();
}

// The gradient before the ReLU of a map, in place: a quarter of that of its mean, where the map is
// above 0.
__device__ __forceinline__ void pool_back(const float* dy, float* x, int side, int channels) {
    EACH(at, 4 * side * side * channels) {
        int c = at % channels, j = at / channels % (2 * side), i = at / channels / (2 * side);
        x[at] = x[at] > 0 ? 0.25f * dy[(i / 2 * side + j / 2) * channels + c] : 0.0f;
    }
    __syncthreads();
}

// Gradients of the weights and biases of a 5x5 convolution for one image, to `out`, weights first.
__device__ __forceinline__ void conv_weights(const float* x, int width, int channels,
                                             const float* dy, int side, int filters, float* out) {
    EACH(at, 25 * channels * filters + filters) {
        float sum = 0;
        if (at >= 25 * channels * filters)
            for (int m = 0; m < side * side; m++)
                sum += dy[m * filters + at - 25 * channels * filters];
        else {
            int k = at % filters, c = at / filters % channels, j = at / filters / channels % 5,
                i = at / filters / channels / 5;
            for (int p = 0; p < side; p++)
                for (int q = 0; q < side; q++)
                    sum += x[((p + i) * width + q + j) * channels + c] *
                           dy[(p * side + q) * filters + k];
        }
        out[at] = sum;
    }
}
