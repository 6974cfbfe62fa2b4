// Local response normalisation and batch normalisation. See reference/norm.py for the formulas.
#include "sums.cuh"

// ---- local response normalisation ----------------------------------------------------------------------------------

// s^(-beta); the papers' beta of 3/4 is a root and a root of it.
__device__ __forceinline__ float inverse_power(float s, float beta) {
    if (beta == 0.75f) {
        float root = 1.0f / sqrtf(s);
        return root * sqrtf(root);
    }
    return powf(s, -beta);
}

// A block takes whole pixels, `values` numbers of them, and keeps in shared memory what neighbours need.
extern "C" __global__ void lrn(const REAL* __restrict__ x, REAL* __restrict__ y, float* __restrict__ scale, int total, int values, int channels,
                               int before, int after, float k, float factor, float beta) {
    SHARED(float, squares);
    long long start = (long long)blockIdx.x * values;
    int count = int(min((long long)values, total - start));
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        float v = to_float(x[start + i]);
        squares[i] = v * v;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        int c = i % channels;
        float sum = 0;
        for (int j = max(-before, -c); j <= min(after, channels - 1 - c); j++) sum += squares[i + j];
        float s = k + factor * sum;
        scale[start + i] = s;
        y[start + i] = from_float<REAL>(to_float(x[start + i]) * inverse_power(s, beta));
    }
}

extern "C" __global__ void lrn_grad(const REAL* __restrict__ dy, const REAL* __restrict__ x, const REAL* __restrict__ y,
                                    const float* __restrict__ scale, REAL* __restrict__ dx, int total, int values, int channels, int before,
                                    int after, float factor, float beta) {
    SHARED(float, terms);
    long long start = (long long)blockIdx.x * values;
    int count = int(min((long long)values, total - start));
    for (int i = threadIdx.x; i < count; i += blockDim.x) terms[i] = to_float(dy[start + i]) * to_float(y[start + i]) / scale[start + i];
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        int c = i % channels;
        float crossed = 0;
        for (int j = max(-before, -c); j <= min(after, channels - 1 - c); j++) crossed += terms[i + j];
        float direct = to_float(dy[start + i]) * inverse_power(scale[start + i], beta);
        dx[start + i] = from_float<REAL>(direct - 2.0f * factor * beta * to_float(x[start + i]) * crossed);
    }
}

// ---- batch normalisation -------------------------------------------------------------------------------------------

// Sums of (x - x0) and (x - x0)^2, x0 being the first pixel's value: what is squared then is about as large as the deviation.
extern "C" __global__ void moments(const REAL* __restrict__ x, int step, int pixels, int channels, float* __restrict__ partial) {
    auto value = [&](int pixel, int c, Vector* v) {
        Vector origin = load(x + c);
        v[0] = load(x + (long long)pixel * step + c);
        EACH_LANE(i) v[0].at[i] -= origin.at[i];
        EACH_LANE(i) v[1].at[i] = v[0].at[i] * v[0].at[i];
    };
    column_sums<2>(value, pixels, channels, partial);
}

extern "C" __global__ void statistics(const REAL* __restrict__ x, const float* __restrict__ partial, int chunks, int pixels, int channels,
                                      float* running_mean, float* running_var, float momentum, float eps, float* mean, float* inv_std) {
    int c = THREAD;
    if (c >= channels) return;
    float shifted = total_of(partial, chunks, 2, 0, channels, c) / pixels;
    float var = fmaxf(total_of(partial, chunks, 2, 1, channels, c) / pixels - shifted * shifted, 0.0f);
    float m = to_float(x[c]) + shifted;
    mean[c] = m;
    inv_std[c] = 1.0f / sqrtf(var + eps);
    running_mean[c] += momentum * (m - running_mean[c]);
    running_var[c] += momentum * (var * (float(pixels) / float(pixels - 1)) - running_var[c]);
}

extern "C" __global__ void fixed_statistics(const float* running_mean, const float* running_var, int channels, float eps, float* mean,
                                            float* inv_std) {
    int c = THREAD;
    if (c >= channels) return;
    mean[c] = running_mean[c];
    inv_std[c] = 1.0f / sqrtf(running_var[c] + eps);
}

extern "C" __global__ void normalise(const REAL* __restrict__ x, int x_step, const float* __restrict__ mean, const float* __restrict__ inv_std,
                                     const float* __restrict__ gamma, const float* __restrict__ beta, const REAL* __restrict__ residual,
                                     int residual_step, REAL* __restrict__ y, int y_step, Divisor by_vectors, int vectors, int activation) {
    int i = THREAD;
    if (i >= vectors) return;
    int pixel = i / by_vectors, c = (i - pixel * int(by_vectors.d)) * V;
    Vector v = load(x + (long long)pixel * x_step + c), other = residual ? load(residual + (long long)pixel * residual_step + c) : splat(0);
    EACH_LANE(j) v.at[j] = activate((v.at[j] - mean[c + j]) * (inv_std[c + j] * gamma[c + j]) + beta[c + j] + other.at[j], activation);
    store(y + (long long)pixel * y_step + c, v);
}

// dy before the activation: the output is computed again from x.
__device__ __forceinline__ float before_activation(float dy, float x, float mean, float inv_std, float gamma, float beta, int activation) {
    if (activation == NONE) return dy;
    return activation_grad(dy, activate((x - mean) * (inv_std * gamma) + beta, activation), activation);
}

// Sums of dy * x^ and dy.
extern "C" __global__ void gradient_sums(const REAL* __restrict__ dy, int dy_step, const REAL* __restrict__ x, int x_step, int pixels,
                                         int channels, const float* __restrict__ mean, const float* __restrict__ inv_std,
                                         const float* __restrict__ gamma, const float* __restrict__ beta, int activation,
                                         float* __restrict__ partial) {
    auto value = [&](int pixel, int c, Vector* v) {
        Vector d = load(dy + (long long)pixel * dy_step + c), u = load(x + (long long)pixel * x_step + c);
        EACH_LANE(i) {
            float slope = before_activation(d.at[i], u.at[i], mean[c + i], inv_std[c + i], gamma[c + i], activation ? beta[c + i] : 0.0f, activation);
            v[0].at[i] = slope * ((u.at[i] - mean[c + i]) * inv_std[c + i]);
            v[1].at[i] = slope;
        }
    };
    column_sums<2>(value, pixels, channels, partial);
}

extern "C" __global__ void gradient_totals(const float* __restrict__ partial, int chunks, int channels, float* dgamma, float* dbeta) {
    int c = THREAD;
    if (c >= channels) return;
    dgamma[c] = total_of(partial, chunks, 2, 0, channels, c);
    dbeta[c] = total_of(partial, chunks, 2, 1, channels, c);
}

extern "C" __global__ void normalise_grad(const REAL* __restrict__ dy, int dy_step, const REAL* __restrict__ x, int x_step,
                                          const float* __restrict__ mean, const float* __restrict__ inv_std, const float* __restrict__ gamma,
                                          const float* __restrict__ beta, const float* __restrict__ dgamma, const float* __restrict__ dbeta,
                                          REAL* __restrict__ dx, Divisor by_vectors, int vectors, int activation, float share) {
    int i = THREAD;
    if (i >= vectors) return;
    int pixel = i / by_vectors, c = (i - pixel * int(by_vectors.d)) * V;
    Vector d = load(dy + (long long)pixel * dy_step + c), u = load(x + (long long)pixel * x_step + c);
    EACH_LANE(j) {
        float slope = before_activation(d.at[j], u.at[j], mean[c + j], inv_std[c + j], gamma[c + j], activation ? beta[c + j] : 0.0f, activation);
        float normalised = (u.at[j] - mean[c + j]) * inv_std[c + j];
        // share is 1 / count in training, and 0 with fixed statistics, which do not depend on x.
        d.at[j] = gamma[c + j] * inv_std[c + j] * (slope - share * dbeta[c + j] - normalised * (share * dgamma[c + j]));
    }
    store(dx + (long long)i * V, d);
}
