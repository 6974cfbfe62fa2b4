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

extern "C" __global__ void cross_entropy(const REAL* __restrict__ logits,
                                         const LABEL* __restrict__ labels,
                                         float* __restrict__ losses, REAL* __restrict__ dlogits,
                                         int rows, int classes, float share) {
    int n = WARP;
    if (n >= rows) return;
    const REAL* row = logits + (long long)n * classes;
    float2 by = normalizer(row, classes);
    int label = int(labels[n]);
    if (LANE == 0) losses[n] = by.y - (to_float(row[label]) - by.x);
    for (int i = LANE; i < classes; i += 32) {
        float p = expf(to_float(row[i]) - by.x - by.y);
        dlogits[(long long)n * classes + i] =
            from_float<REAL>((p - (i == label ? 1.0f : 0.0f)) * share);
    }
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

// Add a batch's loss times its images, and its right answers, to totals, two doubles. In a tie the
// first class is the answer.
extern "C" __global__ void tally(const REAL* __restrict__ logits, const LABEL* __restrict__ labels,
                                 const float* __restrict__ loss, int rows, int classes,
                                 double* totals) {
    SHARED(int, hits);
    int right = 0;
    for (int n = threadIdx.x; n < rows; n += blockDim.x) {
        const REAL* row = logits + (long long)n * classes;
        int best = 0;
        for (int i = 1; i < classes; i++)
            if (to_float(row[i]) > to_float(row[best])) best = i;
        right += best == int(labels[n]);
    }
    hits[threadIdx.x] = right;
    __syncthreads();
    if (threadIdx.x) return;
    for (int i = 1; i < int(blockDim.x); i++) right += hits[i];
    totals[0] += double(*loss) * rows;
    totals[1] += right;
}
