// Softmax and cross-entropy: one warp per row of logits.
#include "common.cuh"

typedef long long int64;
typedef int int32;
typedef unsigned char uint8;

#ifndef LABEL
#define LABEL int64
#endif

#define WARP ((blockIdx.x * blockDim.x + threadIdx.x) / 32)
#define LANE (threadIdx.x % 32)

// The largest logit of the row, and log(sum(exp(logit - largest))).
__device__ __forceinline__ float2 normalizer(const REAL* row, int classes) {
    float largest = -INFINITE, sum = 0;
    for (int i = LANE; i < classes; i += 32) largest = fmaxf(largest, to_float(row[i]));
    largest = warp_max(largest);
    for (int i = LANE; i < classes; i += 32) sum += expf(to_float(row[i]) - largest);
    return make_float2(largest, logf(warp_sum(sum)));
}

extern "C" __global__ void softmax(const REAL* __restrict__ logits, REAL* __restrict__ y, int rows,
                                   int classes) {
    int n = WARP;
    if (n >= rows) return;
    const REAL* row = logits + (long long)n * classes;
    float2 by = normalizer(row, classes);
    for (int i = LANE; i < classes; i += 32)
        y[(long long)n * classes + i] = from_float<REAL>(expf(to_float(row[i]) - by.x - by.y));
}

// dx = y (dy - sum of dy y), from the output y of softmax.
extern "C" __global__ void softmax_grad(const REAL* __restrict__ dy, const REAL* __restrict__ y,
                                        REAL* __restrict__ dx, int rows, int classes) {
    int n = WARP;
    if (n >= rows) return;
    long long row = (long long)n * classes;
    float sum = 0;
    for (int i = LANE; i < classes; i += 32) sum += to_float(dy[row + i]) * to_float(y[row + i]);
    sum = warp_sum(sum);
    for (int i = LANE; i < classes; i += 32)
        dx[row + i] = from_float<REAL>(to_float(y[row + i]) * (to_float(dy[row + i]) - sum));
}

// The target of class i: 1 for the label, or a number of the row `soft` of targets, if there is one.
__device__ __forceinline__ float target(int i, int label, const float* soft) {
    return soft ? soft[i] : (i == label ? 1.0f : 0.0f);
}

// w ((1 - s) t + s / classes), t the target of class i.
__device__ __forceinline__ float smoothed(int i, int label, const float* soft,
                                          const float* class_weights, float smoothing,
                                          int classes) {
    float q = (1.0f - smoothing) * target(i, label, soft) + smoothing / float(classes);
    return class_weights ? class_weights[i] * q : q;
}

// The targets are labels, or distributions `soft` (rows, classes); the other one is null.
extern "C" __global__ void cross_entropy(const REAL* __restrict__ logits,
                                         const LABEL* __restrict__ labels,
                                         const float* __restrict__ soft,
                                         const float* __restrict__ class_weights,
                                         float smoothing, float* __restrict__ losses,
                                         REAL* __restrict__ dlogits, int rows, int classes,
                                         float share) {
    int n = WARP;
    if (n >= rows) return;
    const REAL* row = logits + (long long)n * classes;
    float2 by = normalizer(row, classes);
    const float* targets = soft ? soft + (long long)n * classes : nullptr;
    int label = soft ? -1 : int(labels[n]);
    float total = 0, product = 0;
    for (int i = LANE; i < classes; i += 32) {
        float t = smoothed(i, label, targets, class_weights, smoothing, classes);
        total += t, product += t * (to_float(row[i]) - by.x);
    }
    total = warp_sum(total), product = warp_sum(product);
    if (LANE == 0) losses[n] = by.y * total - product;
    for (int i = LANE; i < classes; i += 32) {
        float p = expf(to_float(row[i]) - by.x - by.y);
        float t = smoothed(i, label, targets, class_weights, smoothing, classes);
        dlogits[(long long)n * classes + i] = from_float<REAL>((p * total - t) * share);
    }
}

// Losses that are a mean over all elements: one warp adds the terms of a row. `term` has the loss
// and its derivative.
template <class F>
__device__ __forceinline__ void each_element(const REAL* y, const LABEL* labels, const float* soft,
                                             float* losses, REAL* dy, int rows, int classes,
                                             F term) {
    int n = WARP;
    if (n >= rows) return;
    long long start = (long long)n * classes;
    const float* targets = soft ? soft + start : nullptr;
    int label = soft ? -1 : int(labels[n]);
    float sum = 0;
    for (int i = LANE; i < classes; i += 32) {
        float2 found = term(to_float(y[start + i]), target(i, label, targets));
        sum += found.x;
        dy[start + i] = from_float<REAL>(found.y / (float(rows) * float(classes)));
    }
    sum = warp_sum(sum);
    if (LANE == 0) losses[n] = sum / float(classes);
}

extern "C" __global__ void binary_cross_entropy(const REAL* __restrict__ logits,
                                                const LABEL* __restrict__ labels,
                                                const float* __restrict__ soft,
                                                float* __restrict__ losses,
                                                REAL* __restrict__ dlogits, int rows,
                                                int classes) {
    each_element(logits, labels, soft, losses, dlogits, rows, classes, [](float z, float t) {
        float decay = expf(-fabsf(z)), p = (z >= 0 ? 1.0f : decay) / (1.0f + decay);
        return make_float2(fmaxf(z, 0.0f) - z * t + log1pf(decay), p - t);
    });
}

extern "C" __global__ void mean_squared_error(const REAL* __restrict__ y,
                                              const LABEL* __restrict__ labels,
                                              const float* __restrict__ soft,
                                              float* __restrict__ losses, REAL* __restrict__ dy,
                                              int rows, int classes) {
    each_element(y, labels, soft, losses, dy, rows, classes, [](float y, float t) {
        return make_float2((y - t) * (y - t), 2.0f * (y - t));
    });
}

// One block: the mean of `count` losses.
extern "C" __global__ void mean_loss(const float* __restrict__ losses, int count,
                                     float* __restrict__ loss) {
    SHARED(float, sums);
    float sum = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) sum += losses[i];
    sum = warp_sum(sum);
    if (LANE == 0) sums[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x) return;
    for (int i = 1; i < int(blockDim.x / 32); i++) sum += sums[i];
    *loss = sum / float(count);
}

// Add a batch's loss times its images, and its right answers, to totals, two doubles. The answer is
// the class with the largest value, the first one in a tie. The truth is a label (TARGETS=0) or the
// largest target (TARGETS=1). With TARGETS=2 every class is a question of its own: the answer is
// value > 1/2, the truth target > 1/2, and each image counts the share of its right answers.
#ifndef TARGETS
#define TARGETS 0
#endif

template <class T>
__device__ __forceinline__ int largest(const T* row, int classes) {
    int best = 0;
    for (int i = 1; i < classes; i++)
        if (to_float(row[i]) > to_float(row[best])) best = i;
    return best;
}

extern "C" __global__ void tally(const REAL* __restrict__ values, const LABEL* __restrict__ labels,
                                 const float* __restrict__ targets,
                                 const float* __restrict__ loss, int rows, int classes,
                                 double* totals) {
    SHARED(int, hits);
    int right = 0;
    for (int n = threadIdx.x; n < rows; n += blockDim.x) {
        const REAL* row = values + (long long)n * classes;
#if TARGETS == 0
        right += largest(row, classes) == int(labels[n]);
#else
        const float* truth = targets + (long long)n * classes;
#if TARGETS == 2
        for (int i = 0; i < classes; i++) right += (to_float(row[i]) > 0.5f) == (truth[i] > 0.5f);
#elif TARGETS == 1
        right += largest(row, classes) == largest(truth, classes);
#endif
#endif
    }
    hits[threadIdx.x] = right;
    __syncthreads();
    if (threadIdx.x) return;
    for (int i = 1; i < int(blockDim.x); i++) right += hits[i];
    totals[0] += double(*loss) * rows;
    totals[1] += double(right) / (TARGETS == 2 ? classes : 1);
}
