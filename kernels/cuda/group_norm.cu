// Group and layer normalization: one block per image and group, or per pixel, which is an image with
// one group. For the formulas see reference/norm.py.
#include "sums.cuh"

// The sum over the threads of a block, for all of them; the block has whole warps. Each sum of a
// kernel has a slot of its own, so that none is overwritten while it is read.
__device__ __forceinline__ float block_sum(float x, int slot) {
    SHARED(float, slots);  // [slot][warp]
    int warps = blockDim.x / 32;
    float* parts = slots + slot * warps;
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    float total = 0;
    for (int i = 0; i < warps; i++) total += parts[i];
    return total;
}

// The numbers of one group: `width` channels at `pixels` pixels.
struct Group {
    int image, first, vectors;  // the image, the first channel, and the number of vectors
    float share;                // 1 / the count of numbers
};

__device__ __forceinline__ Group group_of(int block, int pixels, int groups, int width) {
    int image = block / groups;
    return {image, (block - image * groups) * width, pixels * width / V,
            1.0f / (float(pixels) * float(width))};
}

// The place of vector i of a group in an array whose pixels are `step` numbers apart.
__device__ __forceinline__ long long place(int i, Group g, int pixels, Divisor by_vectors,
                                           int step) {
    int pixel = i / by_vectors, c = (i - pixel * int(by_vectors.d)) * V;
    return ((long long)g.image * pixels + pixel) * step + g.first + c;
}

__device__ __forceinline__ int channel(int i, Group g, Divisor by_vectors) {
    return g.first + i % by_vectors * V;
}

#define EACH_VECTOR(i, g) for (int i = threadIdx.x; i < g.vectors; i += blockDim.x)

// The mean is a sum of differences to the first number, so that that of equal numbers is exact.
extern "C" __global__ void group_norm(const REAL* __restrict__ x, int x_step, int pixels,
                                      int groups, int width, Divisor by_vectors,
                                      const float* __restrict__ gamma,
                                      const float* __restrict__ beta, float eps,
                                      float* __restrict__ mean, float* __restrict__ inv_std,
                                      REAL* __restrict__ y, int y_step) {
    Group g = group_of(blockIdx.x, pixels, groups, width);
    float start = to_float(x[(long long)g.image * pixels * x_step + g.first]), sum = 0, squares = 0;
    EACH_VECTOR(i, g) {
        Vector v = load(x + place(i, g, pixels, by_vectors, x_step));
        EACH_LANE(j) sum += v.at[j] - start;
    }
    float center = start + block_sum(sum, 0) * g.share;
    EACH_VECTOR(i, g) {
        Vector v = load(x + place(i, g, pixels, by_vectors, x_step));
        EACH_LANE(j) squares += (v.at[j] - center) * (v.at[j] - center);
    }
    float scale = 1.0f / sqrtf(block_sum(squares, 1) * g.share + eps);
    if (threadIdx.x == 0) mean[blockIdx.x] = center, inv_std[blockIdx.x] = scale;
    EACH_VECTOR(i, g) {
        Vector v = load(x + place(i, g, pixels, by_vectors, x_step));
        int c = channel(i, g, by_vectors);
        Vector factor = load(gamma + c), shift = load(beta + c);
        EACH_LANE(j) v.at[j] = (v.at[j] - center) * scale * factor.at[j] + shift.at[j];
        store(y + place(i, g, pixels, by_vectors, y_step), v);
    }
}

// dx has no gaps.
extern "C" __global__ void group_norm_grad(const REAL* __restrict__ dy, int dy_step,
                                           const REAL* __restrict__ x, int x_step, int pixels,
                                           int groups, int width, Divisor by_vectors,
                                           const float* __restrict__ gamma,
                                           const float* __restrict__ mean,
                                           const float* __restrict__ inv_std,
                                           REAL* __restrict__ dx) {
    Group g = group_of(blockIdx.x, pixels, groups, width);
    float center = mean[blockIdx.x], scale = inv_std[blockIdx.x], direct = 0, crossed = 0;
    EACH_VECTOR(i, g) {
        Vector v = load(x + place(i, g, pixels, by_vectors, x_step));
        Vector d = load(dy + place(i, g, pixels, by_vectors, dy_step));
        Vector factor = load(gamma + channel(i, g, by_vectors));
        EACH_LANE(j) {
            float slope = d.at[j] * factor.at[j];
            direct += slope;
            crossed += slope * ((v.at[j] - center) * scale);
        }
    }
    direct = block_sum(direct, 0) * g.share;
    crossed = block_sum(crossed, 1) * g.share;
    EACH_VECTOR(i, g) {
        Vector v = load(x + place(i, g, pixels, by_vectors, x_step));
        Vector d = load(dy + place(i, g, pixels, by_vectors, dy_step));
        Vector factor = load(gamma + channel(i, g, by_vectors));
        EACH_LANE(j) {
            float deviation = (v.at[j] - center) * scale;
            d.at[j] = scale * (d.at[j] * factor.at[j] - direct - deviation * crossed);
        }
        store(dx + place(i, g, pixels, by_vectors, groups * width), d);
    }
}

// Sums of dy x^ and of dy per channel, with the statistics of `area` pixels and `width` channels.
extern "C" __global__ void group_sums(const REAL* __restrict__ dy, int dy_step,
                                      const REAL* __restrict__ x, int x_step, int pixels,
                                      int channels, const float* __restrict__ mean,
                                      const float* __restrict__ inv_std, int area, int width,
                                      float* __restrict__ partial) {
    auto value = [&](int pixel, int c, Vector* v) {
        Vector d = load(dy + (long long)pixel * dy_step + c),
               u = load(x + (long long)pixel * x_step + c);
        int first = pixel / area * (channels / width);
        EACH_LANE(i) {
            int of = first + (c + i) / width;
            v[0].at[i] = d.at[i] * ((u.at[i] - mean[of]) * inv_std[of]);
            v[1].at[i] = d.at[i];
        }
    };
    column_sums<2>(value, pixels, channels, partial);
}
