// Updates of all parameters in one launch: a block takes CHUNK values of one of them. For the
// formulas see reference/optim.py; for the copies, rounded.py.
#include "common.cuh"

#define CHUNK 2048

struct Tensor {
    float *w, *first, *second;
    const float* g;
    bf16* rounded;  // a copy of w, or null
    long long size;
};

struct Rate {
    float lr, weight_decay;
};

struct Chunk {
    int tensor, number;
};

// visit(i) for each value of a chunk.
template <class F>
__device__ __forceinline__ void each(Chunk chunk, const Tensor& t, F visit) {
    long long start = (long long)chunk.number * CHUNK, end = min(start + CHUNK, t.size);
#pragma unroll 4
    for (long long i = start + threadIdx.x; i < end; i += blockDim.x) visit(i);
}

// w = update(i) for each value of this block's chunk, and its copy in bfloat16.
template <class F>
__device__ __forceinline__ void update_each(const Tensor* tensors, const Rate* rates,
                                            const Chunk* chunks, F update) {
    Chunk chunk = chunks[blockIdx.x];
    Tensor t = tensors[chunk.tensor];
    Rate rate = rates[chunk.tensor];
    each(chunk, t, [&](long long i) {
        float w = update(t, rate, i);
        t.w[i] = w;
        if (t.rounded) t.rounded[i] = to_bf16(w);
    });
}

extern "C" __global__ void sgd(const Tensor* tensors, const Rate* rates, const Chunk* chunks,
                               float momentum, int nesterov, int caffe) {
    update_each(tensors, rates, chunks, [&](const Tensor& t, Rate r, long long i) {
        float g = t.g[i] + r.weight_decay * t.w[i], rate = caffe ? r.lr : 1.0f;
        float v = momentum * t.first[i] + rate * g;
        t.first[i] = v;
        float step = nesterov ? momentum * v + rate * g : v;
        return t.w[i] - (caffe ? 1.0f : r.lr) * step;
    });
}

// correction1 = 1 - beta1^t, correction2 = 1 - beta2^t.
extern "C" __global__ void adam(const Tensor* tensors, const Rate* rates, const Chunk* chunks,
                                float beta1, float beta2, float eps, float correction1,
                                float correction2, int decoupled) {
    update_each(tensors, rates, chunks, [&](const Tensor& t, Rate r, long long i) {
        float w = t.w[i], g = t.g[i];
        if (decoupled) w *= 1.0f - r.lr * r.weight_decay;
        else g += r.weight_decay * w;
        float m = t.first[i] + (1.0f - beta1) * (g - t.first[i]),
              v = t.second[i] + (1.0f - beta2) * (g * g - t.second[i]);
        t.first[i] = m, t.second[i] = v;
        return w - r.lr / correction1 * m / (sqrtf(v / correction2) + eps);
    });
}

extern "C" __global__ void rmsprop(const Tensor* tensors, const Rate* rates, const Chunk* chunks,
                                   float decay, float eps, float momentum) {
    update_each(tensors, rates, chunks, [&](const Tensor& t, Rate r, long long i) {
        float g = t.g[i] + r.weight_decay * t.w[i];
        float s = t.first[i] + (1.0f - decay) * (g * g - t.first[i]);
        float v = momentum * t.second[i] + g / (sqrtf(s) + eps);
        t.first[i] = s, t.second[i] = v;
        return t.w[i] - r.lr * v;
    });
}

// The copies of weights that have changed otherwise.
extern "C" __global__ void round_weights(const Tensor* tensors, const Chunk* chunks) {
    Chunk chunk = chunks[blockIdx.x];
    Tensor t = tensors[chunk.tensor];
    each(chunk, t, [&](long long i) { t.rounded[i] = to_bf16(t.w[i]); });
}
