/* An emulator of Intel's AMX for processors without it: the handler of SIGILL executes the
   instruction at which the processor stopped, on registers in memory, and goes on after it.

   It knows the instructions that kernels/cpu/engine/simd/amx.py emits (Intel's manual, volume 2):
   ldtilecfg, tilerelease, tilezero, tileloadd, tilestored, tdpbf16ps, all with the prefix
   C4 (VEX of three bytes) in the map 0F38. Any other is left to the handler before it. */

#define _GNU_SOURCE
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { TILES = 8, ROWS = 16, BYTES = 64, THREADS = 64 };

typedef struct {
    long thread;
    int configured;
    uint8_t rows[TILES];
    uint16_t bytes[TILES];
    uint8_t tile[TILES][ROWS][BYTES];
} State;

static State states[THREADS];
static struct sigaction before;
long counts[6]; /* ldtilecfg, tilerelease, tilezero, tileloadd, tilestored, tdpbf16ps */

static State *state_of_thread(void) {
    long thread = syscall(SYS_gettid);
    for (int i = 0; i < THREADS; i++) {
        long nobody = 0;
        if (states[i].thread == thread) return &states[i];
        if (__atomic_compare_exchange_n(&states[i].thread, &nobody, thread, 0, 5, 5)) return &states[i];
    }
    return 0;
}

static void count(int what) { __atomic_fetch_add(&counts[what], 1, 5); }

static float bfloat(const uint8_t *p) { /* subnormal numbers count as 0 */
    uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24;
    float value;
    if (!(bits & 0x7F800000)) bits &= 0x80000000;
    memcpy(&value, &bits, 4);
    return value;
}

static void add_products(State *s, int c, int a, int b) {
    for (int m = 0; m < s->rows[c]; m++)
        for (int n = 0; n < s->bytes[c] / 4; n++) {
            float even = 0, odd = 0, sum;
            for (int k = 0; k < s->bytes[a] / 4; k++) {
                const uint8_t *pa = &s->tile[a][m][4 * k], *pb = &s->tile[b][k][4 * n];
                even = fmaf(bfloat(pa), bfloat(pb), even);
                odd = fmaf(bfloat(pa + 2), bfloat(pb + 2), odd);
            }
            memcpy(&sum, &s->tile[c][m][4 * n], 4);
            sum += even + odd;
            memcpy(&s->tile[c][m][4 * n], &sum, 4);
        }
}

/* Execute the instruction at *ip; 0 if it is none of ours or not allowed. */
static int execute(State *s, greg_t *r, uint8_t **ip) {
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
                                  REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13,
                                  REG_R14, REG_R15};
    uint8_t *p = *ip, opcode = p[3], modrm = p[4];
    if (p[0] != 0xC4 || (p[1] & 0x1F) != 2 || p[2] & 0x84) return 0; /* map 0F38, W0, L0 */
    int pp = p[2] & 3, vvvv = ~p[2] >> 3 & 15, x = (~p[1] >> 6 & 1) * 8, b = (~p[1] >> 5 & 1) * 8;
    int mod = modrm >> 6, reg = modrm >> 3 & 7, rm = modrm & 7, is_register = mod == 3;
    uint8_t *next = p + 5, *address = 0;
    long stride = 0;
    if (!is_register) {
        int base = rm | b;
        if (rm == 4) {
            uint8_t sib = *next++;
            int index = (sib >> 3 & 7) | x;
            if (index != 4) stride = r[order[index]] << (sib >> 6);
            base = (sib & 7) | b;
        }
        if (mod == 0 && (base & 7) == 5) return 0; /* relative to rip, or without a base */
        address = (uint8_t *)r[order[base]];
        if (mod == 1) address += *(int8_t *)next++;
        if (mod == 2) {
            int32_t far;
            memcpy(&far, next, 4);
            address += far, next += 4;
        }
    }
    *ip = next;
    if (opcode == 0x49 && pp == 0 && !is_register && reg == 0) {
        if (address[0] != 1) return 0;
        memcpy(s->bytes, address + 16, sizeof s->bytes), memcpy(s->rows, address + 48, TILES);
        for (int t = 0; t < TILES; t++)
            if (s->rows[t] > ROWS || s->bytes[t] > BYTES) return 0;
        memset(s->tile, 0, sizeof s->tile);
        s->configured = 1, count(0);
        return 1;
    }
    if (opcode == 0x49 && pp == 0 && modrm == 0xC0) return s->configured = 0, count(1), 1;
    if (!s->configured) return 0;
    if (opcode == 0x49 && pp == 3 && is_register && rm == 0)
        return memset(s->tile[reg], 0, sizeof s->tile[reg]), count(2), 1;
    if (opcode == 0x4B && (pp == 3 || pp == 2) && !is_register && rm == 4) {
        for (int i = 0; i < s->rows[reg]; i++, address += stride) {
            if (pp == 3) memset(s->tile[reg][i], 0, BYTES);
            if (pp == 3) memcpy(s->tile[reg][i], address, s->bytes[reg]);
            else memcpy(address, s->tile[reg][i], s->bytes[reg]);
        }
        return count(pp == 3 ? 3 : 4), 1;
    }
    if (opcode == 0x5C && pp == 2 && is_register && reg != rm && reg != vvvv && rm != vvvv)
        return add_products(s, reg, rm, vvvv), count(5), 1;
    return 0;
}

static void handler(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint8_t *ip = (uint8_t *)registers[REG_RIP];
    State *s = state_of_thread();
    if (s && execute(s, registers, &ip)) registers[REG_RIP] = (greg_t)ip;
    else sigaction(signal, &before, 0); /* the instruction is met again */
}

int install(void) {
    struct sigaction mine = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    memset(counts, 0, sizeof counts);
    return sigaction(SIGILL, &mine, &before);
}

int restore(void) { return sigaction(SIGILL, &before, 0); }

int configured_threads(void) {
    int found = 0;
    for (int i = 0; i < THREADS; i++) found += states[i].configured;
    return found;
}
