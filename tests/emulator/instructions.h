// CUDA's built-in variables and functions, and the functions of tensor_core.cuh, on the fibers of
// emulator.h.

#define threadIdx (emulator::thread->index)
#define blockIdx (emulator::thread->block->index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)

static inline void __syncthreads() { emulator::wait(emulator::AT_BLOCK_BARRIER); }
static inline void __syncwarp(unsigned = 0xffffffffu) { emulator::wait(emulator::AT_WARP_BARRIER); }
static inline void __threadfence() {}
static inline unsigned atomicAdd(unsigned* p, unsigned v) { return (*p += v) - v; }

template <class T>
static inline T __shfl_xor_sync(unsigned, T value, int mask) {
    return emulator::exchanged(value, (emulator::thread->linear % 32) ^ mask);
}
template <class T>
static inline T __shfl_sync(unsigned, T value, int lane) {
    return emulator::exchanged(value, lane);
}

static inline float __uint_as_float(unsigned u) {
    float x;
    memcpy(&x, &u, 4);
    return x;
}
static inline unsigned __float_as_uint(float x) {
    unsigned u;
    memcpy(&u, &x, 4);
    return u;
}
static inline float __int_as_float(int i) { return __uint_as_float(unsigned(i)); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
static inline float __fmul_rn(float a, float b) { return a * b; }  // no fused multiply-add
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
template <class T>
static inline T max(T a, T b) {
    return a > b ? a : b;
}
template <class T>
static inline T min(T a, T b) {
    return a < b ? a : b;
}

// ---- tensor_core.cuh ----------------------------------------------------------------------------

// The values of this warp's lanes; they are read between two barriers.
static inline uint64_t (&emulated_slots())[32][8] {
    return emulator::thread->block->exchange[emulator::thread->linear / 32];
}

static inline float emulated_tf32(uint64_t bits) {
    return __uint_as_float(unsigned(bits) & 0xffffe000u);
}

static inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    auto& slots = emulated_slots();
    int lane = emulator::thread->linear % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) slots[lane][i] = a[i];
    for (int i = 0; i < 2; i++) slots[lane][4 + i] = b[i];
    __syncwarp();
    for (int i = 0; i < 4; i++) {
        int row = g + i / 2 * 8, column = 2 * t + i % 2;
        double sum = 0;
        for (int k = 0; k < 8; k++)
            sum += double(emulated_tf32(slots[row % 8 * 4 + k % 4][row / 8 + k / 4 * 2])) *
                   emulated_tf32(slots[column * 4 + k % 4][4 + k / 4]);
        d[i] = float(d[i] + sum);
    }
    __syncwarp();
}

static inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    auto& slots = emulated_slots();
    int lane = emulator::thread->linear % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) slots[lane][i] = a[i];
    for (int i = 0; i < 2; i++) slots[lane][4 + i] = b[i];
    __syncwarp();
    auto half = [](uint64_t pair, int upper) {
        return __uint_as_float(upper ? unsigned(pair) & 0xffff0000u : unsigned(pair) << 16);
    };
    for (int i = 0; i < 4; i++) {
        int row = g + i / 2 * 8, column = 2 * t + i % 2;
        double sum = 0;
        for (int k = 0; k < 16; k++)
            sum += double(half(slots[row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2], k % 2)) *
                   half(slots[column * 4 + k % 8 / 2][4 + k / 8], k % 2);
        d[i] = float(d[i] + sum);
    }
    __syncwarp();
}

static inline unsigned to_tf32(float x) {
    return x != x ? 0x7fffffffu : (__float_as_uint(x) + 0x1000u) & 0xffffe000u;
}

typedef uintptr_t Shared;
static inline Shared shared_address(const void* p) { return reinterpret_cast<Shared>(p); }

static inline void emulated_ldmatrix(unsigned (&r)[4], Shared row, bool turned) {
    auto& slots = emulated_slots();
    int lane = emulator::thread->linear % 32, g = lane / 4, t = lane % 4;
    if (row % 16)
        fprintf(stderr, "emulator: ldmatrix of a row that is not aligned to 16 bytes\n"), abort();
    slots[lane][0] = row;
    __syncwarp();
    for (int m = 0; m < 4; m++) {
        auto at = [&](int i, int j) {
            return unsigned(reinterpret_cast<const uint16_t*>(slots[m * 8 + i][0])[j]);
        };
        r[m] =
            turned ? at(2 * t, g) | at(2 * t + 1, g) << 16 : at(g, 2 * t) | at(g, 2 * t + 1) << 16;
    }
    __syncwarp();
}
static inline void ldmatrix(unsigned (&r)[4], Shared row) { emulated_ldmatrix(r, row, false); }
static inline void ldmatrix_turned(unsigned (&r)[4], Shared row) {
    emulated_ldmatrix(r, row, true);
}

// A copy arrives only when it is waited for; until then its target is NaN.
static inline void emulated_copy(void* to, const void* from, int count, bool inside) {
    if (reinterpret_cast<uintptr_t>(to) % count ||
        (inside && reinterpret_cast<uintptr_t>(from) % count))
        fprintf(
            stderr,
            "emulator: cp.async of %d bytes from or to an address that is not aligned to them\n",
            count),
            abort();
    emulator::Copy copy{static_cast<unsigned char*>(to), {}, count, emulator::thread->group};
    if (inside) memcpy(copy.bytes, from, size_t(count));
    memset(to, 0xff, size_t(count));
    emulator::thread->copies.push_back(copy);
}
static inline void copy16(Shared to, const void* from, bool inside) {
    emulated_copy(reinterpret_cast<void*>(to), from, 16, inside);
}
static inline void copy4(Shared to, const void* from, bool inside) {
    emulated_copy(reinterpret_cast<void*>(to), from, 4, inside);
}
static inline void close_copies() { emulator::thread->group++; }
template <int N>
static inline void copies_arrive() {
    auto& self = *emulator::thread;
    size_t arrived = 0;
    for (; arrived < self.copies.size(); arrived++) {
        auto& copy = self.copies[arrived];
        if (copy.group >= self.group - N) break;
        memcpy(copy.to, copy.bytes, size_t(copy.count));
        self.unfenced.push_back(copy.to);
        self.block->unfenced[size_t(copy.to - self.block->shared.data()) / 16] = true;
    }
    self.copies.erase(self.copies.begin(), self.copies.begin() + long(arrived));
}
