// Local response normalization and batch normalization. For the formulas see reference/norm.py.
#include "sums.cuh"

// ---- local response normalization ---------------------------------------------------------------

// s^(-beta); for the papers' beta of 3/4 by two square roots.
__device__ __forceinline__ float inverse_power(float s, float beta) {
    if (beta == 0.75f) {
        float root = 1.0f / sqrtf(s);
        return root * sqrtf(root);
    }
    return powf(s, -beta);
}

// The sum over channels c - before ... c + after of a pixel, clipped; `at` is channel c.
__device__ __forceinline__ float neighbors(const float* at, int c, int channels, int before,
                                           int after) {
    float sum = 0;
    for (int j = max(-before, -c); j <= min(after, channels - 1 - c); j++) sum += at[j];
    return sum;
}

// A block takes whole pixels of `values` numbers and keeps their squares in shared memory; a thread
// has V channels of a pixel.
extern "C" __global__ void lrn(const REAL* __restrict__ x, REAL* __restrict__ y,
                               float* __restrict__ scale, int total, int values, Divisor channels,
                               int before, int after, float k, float factor, float beta) {
    SHARED(float, squares);
    long long start = (long long)blockIdx.x * values;
    int count = int(min((long long)values, total - start));
    for (int i = threadIdx.x * V; i < count; i += blockDim.x * V) {
        Vector v = load(x + start + i);
        EACH_LANE(l) squares[i + l] = v.at[l] * v.at[l];
    }
    __syncthreads();
    for (int i = threadIdx.x * V; i < count; i += blockDim.x * V) {
        int c = i % channels;
        Vector v = load(x + start + i), s;
        EACH_LANE(l)
            s.at[l] = k + factor * neighbors(squares + i + l, c + l, channels.d, before, after);
        EACH_LANE(l) v.at[l] *= inverse_power(s.at[l], beta);
        store(scale + start + i, s);
        store(y + start + i, v);
    }
}

extern "C" __global__ void lrn_grad(const REAL* __restrict__ dy, const REAL* __restrict__ x,
                                    const REAL* __restrict__ y, const float* __restrict__ scale,
                                    REAL* __restrict__ dx, int total, int values, Divisor channels,
                                    int before, int after, float factor, float beta) {
    SHARED(float, terms);
    long long start = (long long)blockIdx.x * values;
    int count = int(min((long long)values, total - start));
    for (int i = threadIdx.x * V; i < count; i += blockDim.x * V) {
        Vector d = load(dy + start + i), v = load(y + start + i), s = load(scale + start + i);
        EACH_LANE(l) terms[i + l] = d.at[l] * v.at[l] / s.at[l];
    }
    __syncthreads();
    for (int i = threadIdx.x * V; i < count; i += blockDim.x * V) {
        int c = i % channels;
        Vector d = load(dy + start + i), v = load(x + start + i), s = load(scale + start + i);
        EACH_LANE(l) {
            float crossed = neighbors(terms + i + l, c + l, channels.d, before, after);
            d.at[l] =
                d.at[l] * inverse_power(s.at[l], beta) - 2.0f * factor * beta * v.at[l] * crossed;
        }
        store(dx + start + i, d);
    }
}

// Images whose pixels have `by_vectors` vectors of V channels.
struct Maps {
    int height, width;
    Divisor by_vectors, by_width, by_height;
};

// The sum of give(place) over the pixels around vector i of the images, of the same channels;
// windows are clipped at the edges.
template <class F>
__device__ __forceinline__ Vector over_window(int i, const Maps& g, int before, int after, F give) {
    int pixel = i / g.by_vectors, line = pixel / g.by_width, h = line % g.by_height,
        w = pixel - line * g.width;
    Vector sum = splat(0);
    for (int r = max(-before, -h); r <= min(after, g.height - 1 - h); r++)
        for (int q = max(-before, -w); q <= min(after, g.width - 1 - w); q++) {
            long long step = (long long)(r * g.width + q) * g.by_vectors.d;
            Vector v = give((i + step) * V);
            EACH_LANE(l) sum.at[l] += v.at[l];
        }
    return sum;
}

extern "C" __global__ void lrn_within(const REAL* __restrict__ x, REAL* __restrict__ y,
                                      float* __restrict__ scale, int vectors, Maps g, int before,
                                      int after, float k, float factor, float beta) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector s = over_window(i, g, before, after, [&](long long at) {
        Vector v = load(x + at);
        EACH_LANE(l) v.at[l] *= v.at[l];
        return v;
    });
    long long at = (long long)i * V;
    Vector v = load(x + at);
    EACH_LANE(l) {
        s.at[l] = k + factor * s.at[l];
        v.at[l] *= inverse_power(s.at[l], beta);
    }
    store(scale + at, s);
    store(y + at, v);
}

extern "C" __global__ void lrn_within_grad(const REAL* __restrict__ dy, const REAL* __restrict__ x,
                                           const REAL* __restrict__ y,
                                           const float* __restrict__ scale, REAL* __restrict__ dx,
                                           int vectors, Maps g, int before, int after,
                                           float factor, float beta) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector crossed = over_window(i, g, before, after, [&](long long at) {
        Vector d = load(dy + at), v = load(y + at), s = load(scale + at);
        EACH_LANE(l) d.at[l] *= v.at[l] / s.at[l];
        return d;
    });
    long long at = (long long)i * V;
    Vector d = load(dy + at), v = load(x + at), s = load(scale + at);
    EACH_LANE(l)
        d.at[l] = d.at[l] * inverse_power(s.at[l], beta) -
                  2.0f * factor * beta * v.at[l] * crossed.at[l];
    store(dx + at, d);
}

// ---- batch normalization ------------------------------------------------------------------------

// The mean and M2 = sum (x - mean)^2 of each channel, in one pass: of a thread's pixels by
// Welford's update (1962), of a block's threads and of all chunks by that of Chan, Golub & LeVeque
// (1983),
//
//     mean = sum n_k mean_k / sum n_k        M2 = sum (M2_k + n_k (mean_k - mean)^2)
//
// Squares are of deviations from a mean, so that no large numbers cancel. x is counted from the
// first pixel, which keeps the digits of a mean that is large beside the spread. An outlier there
// does no harm: at a distance D it adds D^2 (1 - 1 / n) to M2 itself.
//
// partial[chunk] = mean, M2. The blocks and chunks are those of `column_sums`.
extern "C" __global__ void moments(const REAL* __restrict__ x, int step, int pixels, int channels,
                                   float* __restrict__ partial) {
    SHARED(float, rows);  // [blockDim.y][2][blockDim.x * V]
    int width = blockDim.x * V, c = (blockIdx.x * blockDim.x + threadIdx.x) * V;
    int first = blockIdx.y * blockDim.y, all = gridDim.y * blockDim.y;
    Vector mean = splat(0), squares = splat(0);
    if (c < channels) {
        Vector origin = load(x + c);
        int count = 0;
        for (int pixel = first + threadIdx.y; pixel < pixels; pixel += all) {
            Vector v = load(x + (long long)pixel * step + c);
            float weight = 1.0f / float(++count);
            EACH_LANE(i) {
                float deviation = v.at[i] - origin.at[i] - mean.at[i];
                mean.at[i] += weight * deviation;
                squares.at[i] += (1.0f - weight) * deviation * deviation;
            }
        }
    }
    EACH_LANE(i) rows[threadIdx.y * 2 * width + threadIdx.x * V + i] = mean.at[i];
    EACH_LANE(i) rows[(threadIdx.y * 2 + 1) * width + threadIdx.x * V + i] = squares.at[i];
    __syncthreads();
    int turns = pixels / all, rest = pixels % all;  // row r has a pixel more if r < rest
    for (int j = threadIdx.y * blockDim.x + threadIdx.x; j < width; j += blockDim.x * blockDim.y) {
        double sum = 0;  // its terms may be large beside the spread
        float total = 0;
        int count = 0;
        for (int row = 0; row < int(blockDim.y); row++) {
            int own = turns + (first + row < rest);
            sum += double(own) * rows[row * 2 * width + j];
            count += own;
        }
        float center = float(sum / count);
        for (int row = 0; row < int(blockDim.y); row++) {
            float deviation = rows[row * 2 * width + j] - center;
            total += rows[(row * 2 + 1) * width + j] +
                     float(turns + (first + row < rest)) * deviation * deviation;
        }
        int channel = blockIdx.x * width + j;
        if (channel >= channels) continue;
        partial[((long long)blockIdx.y * 2 + 0) * channels + channel] = center;
        partial[((long long)blockIdx.y * 2 + 1) * channels + channel] = total;
    }
}

// The number of pixels of a chunk, which `rows` rows of threads share.
__device__ __forceinline__ int pixels_of(int chunk, int chunks, int rows, int pixels) {
    int turns = pixels / (chunks * rows), rest = pixels % (chunks * rows);
    return turns * rows + min(max(rest - chunk * rows, 0), rows);
}

extern "C" __global__ void statistics(const REAL* __restrict__ x, const float* __restrict__ partial,
                                      int chunks, int rows, int pixels, int channels,
                                      float* running_mean, float* running_var, float momentum,
                                      float eps, float* mean, float* inv_std) {
    int c = THREAD;
    if (c >= channels) return;
    double sum = 0, squares = 0;
    for (int chunk = 0; chunk < chunks; chunk++)
        sum += double(pixels_of(chunk, chunks, rows, pixels)) *
               partial[(long long)chunk * 2 * channels + c];
    double shifted = sum / pixels;
    float center = float(shifted);
    for (int chunk = 0; chunk < chunks; chunk++) {
        const float* own = partial + (long long)chunk * 2 * channels + c;
        float deviation = own[0] - center;
        squares +=
            own[channels] + float(pixels_of(chunk, chunks, rows, pixels)) * deviation * deviation;
    }
    float m = float(to_float(x[c]) + shifted), var = float(squares / pixels);
    mean[c] = m;
    inv_std[c] = 1.0f / sqrtf(var + eps);
    running_mean[c] += momentum * (m - running_mean[c]);
    running_var[c] += momentum * (float(squares / (pixels - 1)) - running_var[c]);
}

extern "C" __global__ void fixed_statistics(const float* running_mean, const float* running_var,
                                            int channels, float eps, float* mean, float* inv_std) {
    int c = THREAD;
    if (c >= channels) return;
    mean[c] = running_mean[c];
    inv_std[c] = 1.0f / sqrtf(running_var[c] + eps);
}

// Fixed statistics as a factor and a shift per channel, for the epilogue of a convolution.
extern "C" __global__ void fold(const float* bias, const float* gamma, const float* beta,
                                const float* mean, const float* var, int channels, float eps,
                                float* scale, float* shift) {
    int c = THREAD;
    if (c >= channels) return;
    scale[c] = gamma[c] / sqrtf(var[c] + eps);
    shift[c] = beta[c] + ((bias ? bias[c] : 0.0f) - mean[c]) * scale[c];
}

// The statistics and parameters of V channels.
struct Channels {
    Vector mean, inv_std, gamma, beta;
};

__device__ __forceinline__ Channels channels_at(int c, const float* mean, const float* inv_std,
                                                const float* gamma, const float* beta) {
    return {load(mean + c), load(inv_std + c), load(gamma + c), beta ? load(beta + c) : splat(0)};
}

__device__ __forceinline__ float normalized(float x, const Channels& of, int j) {
    return (x - of.mean.at[j]) * (of.inv_std.at[j] * of.gamma.at[j]) + of.beta.at[j];
}

extern "C" __global__ void normalize(
    const REAL* __restrict__ x, int x_step, const float* __restrict__ mean,
    const float* __restrict__ inv_std, const float* __restrict__ gamma,
    const float* __restrict__ beta, const REAL* __restrict__ residual, int residual_step,
    REAL* __restrict__ y, int y_step, Divisor by_vectors, int vectors, int activation) {
    int i = THREAD;
    if (i >= vectors) return;
    int pixel = i / by_vectors, c = (i - pixel * int(by_vectors.d)) * V;
    Vector v = load(x + (long long)pixel * x_step + c),
           other = residual ? load(residual + (long long)pixel * residual_step + c) : splat(0);
    Channels of = channels_at(c, mean, inv_std, gamma, beta);
    EACH_LANE(j) v.at[j] = activate(normalized(v.at[j], of, j) + other.at[j], activation);
    store(y + (long long)pixel * y_step + c, v);
}

// The gradient before the activation, whose output is computed again from x.
__device__ __forceinline__ float before_activation(float dy, float x, const Channels& of, int j,
                                                   int activation) {
    if (activation == NONE) return dy;
    float z = normalized(x, of, j);
    return activation_grad(dy, activation == GELU ? z : activate(z, activation), activation);
}

// Sums of dy * x^ and of dy, with x^ = (x - mean) * inv_std.
extern "C" __global__ void gradient_sums(const REAL* __restrict__ dy, int dy_step,
                                         const REAL* __restrict__ x, int x_step, int pixels,
                                         int channels, const float* __restrict__ mean,
                                         const float* __restrict__ inv_std,
                                         const float* __restrict__ gamma,
                                         const float* __restrict__ beta, int activation,
                                         float* __restrict__ partial) {
    auto value = [&](int pixel, int c, Vector* v) {
        Vector d = load(dy + (long long)pixel * dy_step + c),
               u = load(x + (long long)pixel * x_step + c);
        Channels of = channels_at(c, mean, inv_std, gamma, beta);
        EACH_LANE(i) {
            float slope = before_activation(d.at[i], u.at[i], of, i, activation);
            v[0].at[i] = slope * ((u.at[i] - of.mean.at[i]) * of.inv_std.at[i]);
            v[1].at[i] = slope;
        }
    };
    column_sums<2>(value, pixels, channels, partial);
}

extern "C" __global__ void gradient_totals(const float* __restrict__ partial, int chunks,
                                           int channels, float* dgamma, float* dbeta) {
    int c = THREAD;
    if (c >= channels) return;
    dgamma[c] = total_of(partial, chunks, 2, 0, channels, c);
    dbeta[c] = total_of(partial, chunks, 2, 1, channels, c);
}

extern "C" __global__ void normalize_grad(
    const REAL* __restrict__ dy, int dy_step, const REAL* __restrict__ x, int x_step,
    const float* __restrict__ mean, const float* __restrict__ inv_std,
    const float* __restrict__ gamma, const float* __restrict__ beta,
    const float* __restrict__ dgamma, const float* __restrict__ dbeta, REAL* __restrict__ dx,
    Divisor by_vectors, int vectors, int activation, float share) {
    int i = THREAD;
    if (i >= vectors) return;
    int pixel = i / by_vectors, c = (i - pixel * int(by_vectors.d)) * V;
    Vector d = load(dy + (long long)pixel * dy_step + c),
           u = load(x + (long long)pixel * x_step + c);
    Channels of = channels_at(c, mean, inv_std, gamma, beta);
    Vector crossed = load(dgamma + c), direct = load(dbeta + c);
    EACH_LANE(j) {
        float slope = before_activation(d.at[j], u.at[j], of, j, activation),
              deviation = (u.at[j] - of.mean.at[j]) * of.inv_std.at[j];
        // share is 1 / count in training; with fixed statistics, independent of x, it is 0. Then a
        // sum that is not finite must not reach dx.
        float by_statistics = share * direct.at[j] + deviation * (share * crossed.at[j]);
        d.at[j] = of.gamma.at[j] * of.inv_std.at[j] * (share > 0 ? slope - by_statistics : slope);
    }
    store(dx + (long long)i * V, d);
}
