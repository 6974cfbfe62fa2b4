// Dropout: who is dropped is a hash of the value's position and of two keys. See reference/dropout.py.
#include "common.cuh"

__device__ __forceinline__ unsigned scrambled(unsigned x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

// keys, two numbers, lie in the device's memory, so that a captured step can be given new ones.
extern "C" __global__ void dropout(const REAL* __restrict__ x, REAL* __restrict__ y, unsigned char* __restrict__ keep,
                                   const unsigned* __restrict__ keys, unsigned least_kept, float scale, int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector v = load(x + (long long)i * V);
    Packed<unsigned char> kept;
    EACH_LANE(j) {
        kept.at[j] = scrambled(scrambled(unsigned(i) * V + j ^ keys[0]) + keys[1]) >= least_kept;
        v.at[j] *= kept.at[j] ? scale : 0.0f;
    }
    store(y + (long long)i * V, v);
    *reinterpret_cast<Packed<unsigned char>*>(keep + (long long)i * V) = kept;
}

extern "C" __global__ void dropout_grad(const REAL* __restrict__ dy, const unsigned char* __restrict__ keep, REAL* __restrict__ dx, float scale,
                                        int vectors) {
    int i = THREAD;
    if (i >= vectors) return;
    Vector v = load(dy + (long long)i * V);
    Packed<unsigned char> kept = *reinterpret_cast<const Packed<unsigned char>*>(keep + (long long)i * V);
    EACH_LANE(j) v.at[j] *= kept.at[j] ? scale : 0.0f;
    store(dx + (long long)i * V, v);
}
