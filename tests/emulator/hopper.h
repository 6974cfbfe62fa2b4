// The functions of hopper.cuh on the fibers of emulator.h.
//
// TMA delivers a box, or bytes, some turns after it was started, and its target is NaN until then.
// Products read shared memory when they are started and again when they are waited for: if it has
// changed in between, that is an error, as are a product without wgmma.fence, one of bytes that
// cp.async has written and no fence of the async proxy followed, and one whose sums need more
// registers than its thread has. Sums are NaN until they are waited for. A thread that waits for a
// barrier asks again each turn; if nobody can go on, that is an error.
#define __grid_constant__

struct Barrier {
    uint8_t arrivals, missing, phase, state;
    int32_t bytes;
};
struct alignas(64) TensorMap {
    const unsigned char* base;
    int sizes[4], box[4];  // the last axis first
    unsigned char rest[88];
};

constexpr uint8_t INITIALIZED = 0x5a, READY = 0x5b;
static std::vector<Barrier*> emulated_fresh;  // barriers that TMA does not see yet

static inline void emulated_failure(const char* what) {
    if (!emulator::broken) fprintf(stderr, "emulator: %s\n", what);
    emulator::broken = true;
}
static inline void barrier_init(Barrier* b, int arrivals) {
    *b = {uint8_t(arrivals), uint8_t(arrivals), 0, INITIALIZED, 0};
    emulated_fresh.push_back(b);
}
static inline void barriers_ready() {
    auto& shared = emulator::thread->block->shared;
    for (Barrier* b : emulated_fresh) {
        auto at = reinterpret_cast<unsigned char*>(b);  // of this block, not of one that has failed
        if (at >= shared.data() && at < shared.data() + shared.size()) b->state = READY;
    }
    emulated_fresh.clear();
}
static inline void emulated_change(Barrier* b, int arrived, int bytes) {
    if (b->state != READY) emulated_failure("a barrier is used before it is ready");
    b->missing -= arrived, b->bytes += bytes;
    if (b->missing == 0 && b->bytes == 0) b->phase ^= 1, b->missing = b->arrivals;
}
static inline void arrive(Barrier* b) { emulated_change(b, 1, 0); }
static inline void expect_bytes(Barrier* b, int bytes) { emulated_change(b, 1, bytes); }
static inline void wait_for(Barrier* b, int parity) {
    emulated_change(b, 0, 0);
    while (b->phase == parity) emulator::wait(emulator::POLLING);
}

// Chunk j of 16 bytes in row i of 128 is at j ^ i % 8.
static inline uintptr_t emulated_swizzle(uintptr_t at) { return at ^ (at >> 7 & 7) << 4; }

struct EmulatedBox {
    TensorMap map;
    unsigned char* to;
    Barrier* barrier;
    int first[4];

    int count() const { return map.box[0] * map.box[1] * map.box[2] * map.box[3]; }
    void deliver() const {
        for (int i = 0; i < count(); i++) {
            int rest = i, place = 0, step = 1;
            bool inside = true;
            for (int axis = 0; axis < 4; axis++) {
                int at = first[axis] + rest % map.box[axis];
                rest /= map.box[axis];
                inside &= at >= 0 && at < map.sizes[axis];
                place += at * step, step *= map.sizes[axis];
            }
            uintptr_t target = emulated_swizzle(reinterpret_cast<uintptr_t>(to) + size_t(i) * 2);
            *reinterpret_cast<uint16_t*>(target) =
                inside ? reinterpret_cast<const uint16_t*>(map.base)[place] : uint16_t(0);
        }
        emulated_change(barrier, 0, -count() * 2);
    }
};

struct EmulatedBytes {
    std::vector<unsigned char> bytes;
    unsigned char* to;
    Barrier* barrier;
};

static inline void load_bytes(void* to, const void* from, int count, Barrier* b) {
    if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from) | uintptr_t(count)) %
        16)
        emulated_failure("a bulk copy is not aligned to 16");
    auto source = static_cast<const unsigned char*>(from);
    auto copy = new EmulatedBytes{{source, source + count}, static_cast<unsigned char*>(to), b};
    memset(to, 0xff, size_t(count));
    auto run = [](void* data) {
        auto copy = static_cast<EmulatedBytes*>(data);
        memcpy(copy->to, copy->bytes.data(), copy->bytes.size());
        emulated_change(copy->barrier, 0, -int(copy->bytes.size()));
        delete copy;
    };
    emulator::thread->block->later.push_back({run, copy});
}

static inline void writes_ready() {
    auto& self = *emulator::thread;
    for (unsigned char* at : self.unfenced)
        self.block->unfenced[size_t(at - self.block->shared.data()) / 16] = false;
    self.unfenced.clear();
}

// What a thread gives back, or takes as soon as it is there.
template <int FROM, int TO>
static inline void change_registers() {
    auto& self = *emulator::thread;
    if (self.registers && self.registers != FROM)
        emulated_failure("a thread has another number of registers");
    while (self.block->registers < TO - FROM) emulator::wait(emulator::POLLING);
    self.block->registers -= TO - FROM;
    self.registers = TO;
}

static inline void load_box(void* to, const TensorMap* map, Barrier* b, int c, int v, int h,
                            int n) {
    if (reinterpret_cast<uintptr_t>(to) % 1024) emulated_failure("a box is not aligned to 1,024");
    auto box = new EmulatedBox{*map, static_cast<unsigned char*>(to), b, {c, v, h, n}};
    memset(to, 0xff, size_t(box->count()) * 2);
    auto run = [](void* data) {
        static_cast<EmulatedBox*>(data)->deliver();
        delete static_cast<EmulatedBox*>(data);
    };
    emulator::thread->block->later.push_back({run, box});
}

// ---- wgmma --------------------------------------------------------------------------------------

struct EmulatedProduct {
    unsigned long long a, b;
    bool turned;
    int count, group;  // count: of sums
    float sums[128];
};
struct EmulatedProducts {  // of a thread
    std::vector<EmulatedProduct> started;
    float *target = nullptr, sums[128];
    int count = 0, group = 0;
    bool begun = false;
};
static inline EmulatedProducts& emulated_products() {
    static std::vector<EmulatedProducts> all(1024);
    auto& own = all[size_t(emulator::thread->linear)];
    if (!emulator::thread->multiplies) own = {};
    emulator::thread->multiplies = true;
    return own;
}
static inline unsigned long long operand(const void* p) {
    return reinterpret_cast<unsigned long long>(p);
}
static inline unsigned long long turned_operand(const void* p) { return operand(p); }
static inline void products_begin() { emulated_products().begun = true; }
static inline void products_close() { emulated_products().group++; }

// This thread's part of a b^T, as the registers of wgmma are distributed.
static inline void emulated_multiply(EmulatedProduct& p) {
    int t = emulator::thread->linear % 128, warp = t / 32, g = t % 32 / 4, pair = t % 4;
    auto& block = *emulator::thread->block;
    auto number = [&](unsigned long long from, int row, int k) {
        int place = p.turned ? row / 64 * 8192 + k * 128 + row % 64 * 2 : row * 128 + k * 2;
        uintptr_t at = emulated_swizzle(uintptr_t(from) + size_t(place));
        if (block.unfenced[(at - uintptr_t(block.shared.data())) / 16])
            emulated_failure("a product reads what the async proxy does not see yet");
        return __uint_as_float(unsigned(*reinterpret_cast<const uint16_t*>(at)) << 16);
    };
    float a[2][16];
    for (int k = 0; k < 16; k++)
        for (int i = 0; i < 2; i++) a[i][k] = number(p.a, warp * 16 + i * 8 + g, k);
    for (int j = 0; j < p.count / 2; j++) {
        int column = j / 2 * 8 + 2 * pair + j % 2;
        double sum[2] = {};
        for (int k = 0; k < 16; k++) {
            float v = number(p.b, column, k);
            for (int i = 0; i < 2; i++) sum[i] += double(a[i][k]) * v;
        }
        for (int i = 0; i < 2; i++) p.sums[j / 2 * 4 + i * 2 + j % 2] = float(sum[i]);
    }
}
template <bool TURNED = false, int COUNT>
static inline void multiply(float (&d)[COUNT], unsigned long long a, unsigned long long b) {
    auto& own = emulated_products();
    int registers = emulator::thread->registers;
    if (!own.begun) emulated_failure("a product without wgmma.fence");
    if (registers && registers < COUNT + 16)  // some for addresses
        emulated_failure("a product's sums need more registers");
    if (!own.target) {
        own.target = d, own.count = COUNT;
        memcpy(own.sums, d, sizeof(d)), memset(d, 0xff, sizeof(d));
    }
    own.started.push_back({a, b, TURNED, COUNT, own.group, {}});
    emulated_multiply(own.started.back());
}
template <int N>
static inline void products_arrive() {
    auto& own = emulated_products();
    size_t done = 0;
    for (; done < own.started.size() && own.started[done].group < own.group - N; done++) {
        EmulatedProduct& p = own.started[done];
        EmulatedProduct again = p;
        emulated_multiply(again);
        if (memcmp(p.sums, again.sums, sizeof(float) * size_t(p.count)))
            emulated_failure("a product's operand changed before the product was waited for");
        for (int i = 0; i < p.count; i++) own.sums[i] += p.sums[i];
    }
    own.started.erase(own.started.begin(), own.started.begin() + long(done));
    own.begun = false;
    if (own.started.empty() && own.target) {
        memcpy(own.target, own.sums, sizeof(float) * size_t(own.count));
        own.target = nullptr;
    }
    __syncwarp();
}
