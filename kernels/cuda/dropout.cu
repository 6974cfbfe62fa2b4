// Dropout: a hash of the position and of two keys decides. See reference/dropout.py.
#include "common.cuh"

__device__ __forceinline__ unsigned hashed(unsigned x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

// The two keys, and the position of x in the whole batch, are in the device's memory, so that a
// replay of a captured step can have new ones.
extern "C" __global__ void dropout(const REAL* __restrict__ x, REAL* __restrict__ y,
                                   unsigned char* __restrict__ mask,
                                   const unsigned* __restrict__ keys, unsigned threshold,
                                   float scale, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector v = load(x + (long long)i * V);
    Packed<unsigned char> kept;
    EACH_LANE(j) {
        kept.at[j] = hashed(hashed(unsigned(i) * V + j + keys[2] ^ keys[0]) + keys[1]) >= threshold;
        v.at[j] *= kept.at[j] ? scale : 0.0f;
    }
    store(y + (long long)i * V, v);
    *reinterpret_cast<Packed<unsigned char>*>(mask + (long long)i * V) = kept;
}

extern "C" __global__ void dropout_grad(const REAL* __restrict__ dy,
                                        const unsigned char* __restrict__ mask,
                                        REAL* __restrict__ dx, float scale, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector v = load(dy + (long long)i * V);
    Packed<unsigned char> kept =
        *reinterpret_cast<const Packed<unsigned char>*>(mask + (long long)i * V);
    EACH_LANE(j) v.at[j] *= kept.at[j] ? scale : 0.0f;
    store(dx + (long long)i * V, v);
}
