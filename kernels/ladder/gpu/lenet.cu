// A whole training step of LeNet-5 (`lenet5` of models/lenet.py, 32x32x1): forward, loss, backward
// and SGD with momentum, as nine kernels and as one.
//
// Nine kernels: a block computes one part of the network for one image; activations are in global
// memory. As a CUDA graph they are one launch. One kernel, `step`: a block computes all parts for
// one image and keeps its activations in shared memory (43 KB). After one barrier of all blocks,
// each thread adds up the gradients of a few weights over the images, in their order, and updates
// the weights.
#include "lenet.cuh"

// A barrier of all blocks, which counters[0] counts. The launch is cooperative: all blocks run at
// the same time.
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

// ---- the nine parts -----------------------------------------------------------------------------

__device__ __forceinline__ void first_maps(const Step& s, int n, const Image& im) {
    EACH(i, 1024) im.x[i] = s.images[n * 1024 + i];
    __syncthreads();
    EACH(at, 4704) {
        int k = at % 6, q = at / 6 % 28, p = at / 168;
        float sum = s.net.w[1][k];
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 5; j++)
                sum += im.x[(p + i) * 32 + q + j] * s.net.w[0][(i * 5 + j) * 6 + k];
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
            for (int jc = 0; jc < 30; jc++)
                sum += im.s2[((p + i) * 14 + q) * 6 + jc] * s.net.w[2][(i * 30 + jc) * 16 + k];
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
        if (threadIdx.x == 0)
            own[LOSS] = logf(sum) - (z[label] - largest), own[HIT] = best == label;
        __syncwarp();
        if (threadIdx.x < CLASSES)
            z[threadIdx.x] = (expf(logit - largest) / sum - (int(threadIdx.x) == label)) / s.count;
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
    EACH(at, 1176) {  // the gradient of S2, from every output of C3 whose patch contains it
        int c = at % 6, v = at / 6 % 14, h = at / 84;
        float sum = 0;
        for (int i = max(0, h - 9); i <= min(4, h); i++)
            for (int j = max(0, v - 9); j <= min(4, v); j++)
                for (int k = 0; k < 16; k++)
                    sum += im.c3[((h - i) * 10 + v - j) * 16 + k] *
                           s.net.w[2][((i * 5 + j) * 6 + c) * 16 + k];
        im.ds2[at] = sum;
    }
    __syncthreads();
}

__device__ __forceinline__ void first_maps_back(const Step&, int, const Image& im) {
    pool_back(im.ds2, im.c1, 14, 6);
}

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
    // The gradient of each part: `given` in the scratch memory, or the product of an input and a
    // gradient.
    const int sizes[PARTS] = {150, 6, 2400, 16, 48000, 120, 10080, 84, 840, 10},
              outputs[PARTS] = {0, 0, 0, 0, 120, 120, 84, 84, 10, 10};
    const int given[PARTS] = {DW1, DB1, DW3, DB3, S4, -1, H5, -1, H6, -1},
              gradient[PARTS] = {-1, -1, -1, -1, D5, D5, D6, D6, DZ, DZ};
#pragma unroll
    for (int part = 0; part < PARTS; part++)
        for (int at = THREAD; at < sizes[part]; at += int(gridDim.x * blockDim.x)) {
            int i = outputs[part] ? at / max(outputs[part], 1) : at,
                k = outputs[part] ? at % max(outputs[part], 1) : 0;
            const float* a = s.scratch + (given[part] < 0 ? 0 : given[part] + i);
            const float* b = s.scratch + (gradient[part] < 0 ? 0 : gradient[part] + k);
            float sum = 0;
            for (int m = 0; m < s.count; m++) {
                float left = given[part] < 0 ? 1.0f : a[(long long)m * SCRATCH];
                sum += gradient[part] < 0 ? left : left * b[(long long)m * SCRATCH];
            }
            float w = s.net.w[part][at],
                  v = s.momentum * s.net.v[part][at] + sum + s.weight_decay * w;
            s.net.v[part][at] = v;
            s.net.w[part][at] = w - s.lr * v;
        }
    if (THREAD == 0) {
        double loss = 0, hits = 0;
        for (int m = 0; m < s.count; m++)
            loss += s.scratch[(long long)m * SCRATCH + LOSS],
                hits += s.scratch[(long long)m * SCRATCH + HIT];
        s.totals[0] += loss;
        s.totals[1] += hits;
    }
}

// ---- as nine kernels, one block per image -------------------------------------------------------

__device__ __forceinline__ Image own_image(const Step& s) {
    return image_at(s.activations + (long long)blockIdx.x * ACTIVATIONS);
}

extern "C" __global__ void __launch_bounds__(256) c1_s2(Step s) {
    first_maps(s, blockIdx.x, own_image(s));
}
extern "C" __global__ void __launch_bounds__(256) c3_s4(Step s) {
    second_maps(s, blockIdx.x, own_image(s));
}
extern "C" __global__ void __launch_bounds__(256) c5_f6_output(Step s) {
    classifier(s, blockIdx.x, own_image(s));
}
extern "C" __global__ void __launch_bounds__(256) cross_entropy(Step s) {
    loss(s, blockIdx.x, own_image(s));
}
extern "C" __global__ void __launch_bounds__(256) c5_f6_output_back(Step s) {
    classifier_back(s, blockIdx.x, own_image(s));
}
extern "C" __global__ void __launch_bounds__(256) c3_s4_back(Step s) {
    second_maps_back(s, blockIdx.x, own_image(s));
}
extern "C" __global__ void __launch_bounds__(256) c1_s2_back(Step s) {
    first_maps_back(s, blockIdx.x, own_image(s));
}
extern "C" __global__ void __launch_bounds__(256) gradients(Step s) {
    leave(s, blockIdx.x, own_image(s));
}
extern "C" __global__ void __launch_bounds__(256) update(Step s) { update_weights(s); }

// ---- as one kernel ------------------------------------------------------------------------------

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
    if (threadIdx.x == 0 && atomicAdd(counters + 1, 1u) == gridDim.x - 1)
        counters[0] = counters[1] = 0;  // for the next launch
#endif
}
