/* cpu/k_linear_wide.c: products with many rows: encoders, prompts, training.
 *
 * The unit along K is the word of 32 bits: one float, or for vdpbf16ps a pair of bf16. x is copied
 * once per call into blocks of KC words with a fixed row distance. A task takes some panels of NR
 * outputs and some rows; for each block of K it transposes the panel's weights into L1 scratch,
 * [word][NR], widening them on the way, and runs the microkernel over its rows in groups of up to
 * MR, whose MR x NR sums stay in registers. The sums of the blocks are added in order.
 * So a sum's order depends on K alone, and the weights, read where they lie, are read once per
 * MAX_ROWS rows. */
#include <omp.h>
#include "cpu/flush.h"
#include "cpu/linear.h"
#include "cpu/transpose.h"

#if defined(VEC_AVX512)
enum { MR = 14 }; /* 28 accumulators, 2 weights, 1 x of 32 registers */
#elif defined(__aarch64__)
enum { MR = 8 };
#else
enum { MR = 6 }; /* 12 + 2 + 1 of 16 */
#endif

enum {
    NR = 2 * VL,
    KC = 256, /* words of a block: a panel block is KC * NR * 4 bytes, 32 KiB at AVX-512 */
    X_STRIDE = KC + 16, /* words between packed rows: not a multiple of the cache's set distance */
    MAX_PANELS = 12,    /* per task */
    MAX_ROWS = 392,     /* per task */
};

typedef enum Words { WORDS_F32, WORDS_BF16, WORDS_F16, WORDS_I8, WORDS_PAIR } Words;

typedef struct Wide {
    const LinearArgs *a;
    Words words;
    int depth;  /* words along K */
    int blocks; /* blocks of K */
    int groups; /* row groups of at most MR rows */
    int panels;
    int row_tasks, panel_tasks;
    const uint32_t *x; /* packed: [block][row][X_STRIDE] */
    char *scratch;     /* per thread: panel block, sums of a task */
    size_t scratch_size;
} Wide;

/* --- x ------------------------------------------------------------------------------------------ */

/* n floats to bf16, rounded to nearest even; an odd last one is followed by a zero. */
static void pack_pairs(uint32_t *dst, const float *x, int n)
{
#ifdef ISA_avx512bf16
    for (int i = 0; i < n; i += 32) {
        int lo = n - i < 16 ? n - i : 16, hi = n - i - lo < 16 ? n - i - lo : 16;
        __m512bh pair =
            _mm512_cvtne2ps_pbh((__m512)vf_load_n(x + i + lo, hi), (__m512)vf_load_n(x + i, lo));
        if (hi == 16) {
            _mm512_storeu_si512(dst + i / 2, (__m512i)pair);
        } else {
            uint32_t t[16];
            _mm512_storeu_si512(t, (__m512i)pair);
            memcpy(dst + i / 2, t, (size_t)(n - i + 1) / 2 * 4);
        }
    }
#else
    (void)dst, (void)x, (void)n;
    BUG("bf16 products are not in this instruction set");
#endif
}

static void pack_x_row(const Wide *w, uint32_t *packed, int row)
{
    const float *x = row_f32(w->a->x, row);
    int per_word = w->words == WORDS_PAIR ? 2 : 1, cols = w->a->x->cols;
    for (int b = 0; b < w->blocks; b++) {
        uint32_t *dst = packed + ((size_t)b * (size_t)w->a->x->rows + (size_t)row) * X_STRIDE;
        int k = b * KC * per_word, n = cols - k < KC * per_word ? cols - k : KC * per_word;
        if (per_word == 2)
            pack_pairs(dst, x + k, n);
        else
            memcpy(dst, x + k, (size_t)n * 4);
    }
}

/* --- weights ------------------------------------------------------------------------------------ */

VEC_INLINE size_t words_size(Words t)
{
    return t == WORDS_F32 || t == WORDS_PAIR ? 4 : t == WORDS_I8 ? 1 : 2;
}

VEC_INLINE vi words_load(Words t, const void *p)
{
    switch (t) {
    case WORDS_BF16: return (vi)vf_from_bf16(p);
    case WORDS_F16: return (vi)vf_from_f16(p);
    case WORDS_I8: return (vi)vf_from_i8(p);
    default: return (vi)vf_loadu(p);
    }
}

/* VL words of VL rows. */
VEC_INLINE void pack_square(Words t, float *dst, const char *src, size_t stride)
{
    vi r[VL];
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++)
        r[i] = words_load(t, src + (size_t)i * stride);
    vi_transpose(r);
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++)
        vf_storeu(dst + i * NR, (vf)r[i]);
}

/* At the edges: `bytes` of each of `rows` rows are there, the rest is zero. */
static void pack_edge(Words t, float *dst, const char *src, size_t stride, int rows, size_t bytes,
                      int words)
{
    vi r[VL] = {{0}};
    for (int i = 0; i < rows; i++) {
        char copy[4 * VL] = {0};
        memcpy(copy, src + (size_t)i * stride, bytes);
        r[i] = words_load(t, copy);
    }
    vi_transpose(r);
    for (int k = 0; k < words; k++)
        vf_storeu(dst + k * NR, (vf)r[k]);
}

/* Words [k0, k0 + n) of up to NR rows from row n0 on, to dst[n][NR]. */
VEC_INLINE void pack_panel_of(Words t, const Wide *w, float *dst, int n0, int k0, int n)
{
    const Param *p = w->a->w;
    const size_t stride = (size_t)p->cols * weight_size(p->dtype), size = words_size(t);
    for (int half = 0; half < NR; half += VL) {
        int left = p->rows - n0 - half, rows = left < 0 ? 0 : left < VL ? left : VL;
        const char *src = (const char *)p->data + (size_t)(n0 + (rows ? half : 0)) * stride;
        for (int k = 0; k < n; k += VL) {
            size_t at = (size_t)(k0 + k) * size, there = stride - at;
            float *to = dst + k * NR + half;
            if (rows == VL && there >= VL * size)
                pack_square(t, to, src + at, stride);
            else
                pack_edge(t, to, src + at, stride, rows, there < VL * size ? there : VL * size,
                          n - k < VL ? n - k : VL);
        }
    }
}

static void pack_panel(const Wide *w, float *dst, int n0, int k0, int n)
{
    switch (w->words) {
    case WORDS_F32: pack_panel_of(WORDS_F32, w, dst, n0, k0, n); break;
    case WORDS_BF16: pack_panel_of(WORDS_BF16, w, dst, n0, k0, n); break;
    case WORDS_F16: pack_panel_of(WORDS_F16, w, dst, n0, k0, n); break;
    case WORDS_I8: pack_panel_of(WORDS_I8, w, dst, n0, k0, n); break;
    case WORDS_PAIR: pack_panel_of(WORDS_PAIR, w, dst, n0, k0, n); break;
    }
}

/* --- microkernel -------------------------------------------------------------------------------- */

VEC_INLINE vf product_f32(vf sum, uint32_t x, vf w)
{
    float f;
    memcpy(&f, &x, 4);
    return vf_fma(vf_set1(f), w, sum);
}

VEC_INLINE vf product_pair(vf sum, uint32_t x, vf w)
{
#ifdef ISA_avx512bf16
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)x), (__m512bh)w);
#else
    return product_f32(sum, x, w);
#endif
}

/* Weights that will be packed next, fetched while the microkernel runs: one cache line for each
 * word of K, `lines` of a row before the next row. Without this the product of a prompt takes the
 * time of the memory and that of the arithmetic one after the other. */
typedef struct Ahead {
    const char *p;
    size_t stride;
    int mask, shift; /* lines - 1, log2(lines) */
} Ahead;

VEC_INLINE void prefetch_line(const Ahead *ahead, int k)
{
    size_t row = (size_t)(k >> ahead->shift), line = (size_t)(k & ahead->mask);
    __builtin_prefetch(ahead->p + row * ahead->stride + line * 64, 0, 2);
}

/* sums[rows][NR] (+)= x[rows][n] w[n][NR]; rows and pair are constants where this is called. */
VEC_INLINE void micro(const int rows, const bool pair, int n, const uint32_t *x, const float *w,
                      float *sums, bool add, Ahead ahead)
{
    vf lo[MR], hi[MR];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
        lo[i] = hi[i] = vf_zero();
    for (int k = 0; k < n; k++) {
        vf w0 = vf_loadu(w + k * NR), w1 = vf_loadu(w + k * NR + VL);
        prefetch_line(&ahead, k);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            uint32_t xi = x[i * X_STRIDE + k];
            lo[i] = pair ? product_pair(lo[i], xi, w0) : product_f32(lo[i], xi, w0);
            hi[i] = pair ? product_pair(hi[i], xi, w1) : product_f32(hi[i], xi, w1);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        float *s = sums + i * NR;
        vf_storeu(s, add ? vf_loadu(s) + lo[i] : lo[i]);
        vf_storeu(s + VL, add ? vf_loadu(s + VL) + hi[i] : hi[i]);
    }
}

typedef void (*MicroFn)(int n, const uint32_t *x, const float *w, float *sums, bool add,
                        Ahead ahead);

#define DEFINE_MICRO(rows)                                                                      \
    static void micro_f32_##rows(int n, const uint32_t *x, const float *w, float *s, bool add,  \
                                 Ahead ahead)                                                   \
    {                                                                                           \
        micro(rows, false, n, x, w, s, add, ahead);                                             \
    }                                                                                           \
    static void micro_pair_##rows(int n, const uint32_t *x, const float *w, float *s, bool add, \
                                  Ahead ahead)                                                  \
    {                                                                                           \
        micro(rows, true, n, x, w, s, add, ahead);                                              \
    }
#define MICRO_F32(rows)  micro_f32_##rows,
#define MICRO_PAIR(rows) micro_pair_##rows,
#if defined(VEC_AVX512)
#define FOR_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif defined(__aarch64__)
#define FOR_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#else
#define FOR_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif
FOR_ROWS(DEFINE_MICRO)
static const MicroFn micros_f32[MR + 1] = {NULL, FOR_ROWS(MICRO_F32)};
static const MicroFn micros_pair[MR + 1] = {NULL, FOR_ROWS(MICRO_PAIR)};

/* --- tasks -------------------------------------------------------------------------------------- */

/* The start of part i when `total` is split evenly into `parts`. */
static int split(int total, int parts, int i)
{
    return (int)((long long)total * i / parts);
}

static int div_up(int a, int b)
{
    return (a + b - 1) / b;
}

typedef struct Task {
    int p0, p1; /* panels */
    int g0, g1; /* row groups */
    int first, rows;
    float *packed, *sums; /* scratch: a panel block; [panel][row][NR] */
} Task;

static int block_depth(const Wide *w, int block)
{
    int left = w->depth - block * KC;
    return left < KC ? left : KC;
}

/* What will be packed after (panel, block); nothing to fetch where that is another task. */
static Ahead ahead_of(const Wide *w, const Task *t, int panel, int block)
{
    const Param *p = w->a->w;
    const size_t size = words_size(w->words), stride = (size_t)p->cols * weight_size(p->dtype);
    int lines = KC * (int)size / 64, shift = 0;
    while (1 << shift < lines)
        shift++;
    bool more = ++panel < t->p1 || ++block < w->blocks;
    panel = panel < t->p1 ? panel : t->p0;
    Ahead a = {(const char *)t->packed, 0, 0, 0};
    if (more)
        a = (Ahead){(const char *)p->data + (size_t)(panel * NR) * stride +
                        (size_t)(block * KC) * size,
                    stride, lines - 1, shift};
    return a;
}

/* One packed panel block times all rows of the task. */
static void run_panel(const Wide *w, const Task *t, int panel, int block)
{
    const int rows = w->a->x->rows, n0 = panel * NR, n = block_depth(w, block);
    const int left = w->a->w->rows - n0, outs = left < NR ? left : NR;
    const MicroFn *micros = w->words == WORDS_PAIR ? micros_pair : micros_f32;
    const Ahead none = {(const char *)t->packed, 0, 0, 0};
    Ahead ahead = ahead_of(w, t, panel, block);
    float *sums = t->sums + (size_t)(panel - t->p0) * (size_t)t->rows * NR;
    for (int g = t->g0; g < t->g1; g++) {
        int m = split(rows, w->groups, g), count = split(rows, w->groups, g + 1) - m;
        int fetched = (g - t->g0) * (KC >> ahead.shift); /* weight rows */
        float *s = sums + (size_t)(m - t->first) * NR;
        const uint32_t *x = w->x + ((size_t)block * (size_t)rows + (size_t)m) * X_STRIDE;
        micros[count](n, x, t->packed, s, block > 0, fetched < NR ? ahead : none);
        ahead.p += (size_t)(KC >> ahead.shift) * ahead.stride;
        if (block == w->blocks - 1)
            for (int i = 0; i < count; i++)
                linear_finish(w->a, m + i, n0, s + i * NR, outs);
    }
}

static void run_task(const Wide *w, int task, char *scratch)
{
    const int r = task % w->row_tasks, c = task / w->row_tasks, rows = w->a->x->rows;
    Task t = {.p0 = split(w->panels, w->panel_tasks, c),
              .p1 = split(w->panels, w->panel_tasks, c + 1),
              .g0 = split(w->groups, w->row_tasks, r),
              .g1 = split(w->groups, w->row_tasks, r + 1),
              .packed = (float *)scratch,
              .sums = (float *)scratch + KC * NR};
    t.first = split(rows, w->groups, t.g0);
    t.rows = split(rows, w->groups, t.g1) - t.first;
    for (int b = 0; b < w->blocks; b++)
        for (int p = t.p0; p < t.p1; p++) {
            pack_panel(w, t.packed, p * NR, b * KC, block_depth(w, b));
            run_panel(w, &t, p, b);
        }
}

static Words words_for(const Stream *on, DType t)
{
    switch (t) {
    case BF16:
        return on->precision == PREC_FAST && ((const CpuStream *)on)->bf16 == K16_NATIVE
                   ? WORDS_PAIR
                   : WORDS_BF16;
    case F16: return WORDS_F16; /* the place of a native fp16 kernel, see CpuStream.f16 */
    case I8: return WORDS_I8;
    default: return WORDS_F32;
    }
}

/* Enough tasks that the threads end together, few enough that panels and rows are reused. */
static void plan_tasks(Wide *w, int threads)
{
    int rows = w->a->x->rows;
    w->panels = div_up(w->a->w->rows, NR);
    w->groups = div_up(rows, MR);
    w->row_tasks = div_up(rows, MAX_ROWS);
    w->panel_tasks = div_up(w->panels, MAX_PANELS);
    int wanted = threads > 1 ? div_up(2 * threads, w->row_tasks) : 1;
    if (w->panel_tasks < wanted)
        w->panel_tasks = wanted;
    w->panel_tasks = div_up(w->panel_tasks, threads) * threads;
    if (w->panel_tasks > w->panels) {
        w->panel_tasks = w->panels;
        w->row_tasks *= div_up(2 * threads, w->panels);
    }
    if (w->row_tasks > w->groups)
        w->row_tasks = w->groups;
}

static bool plan(Wide *w, Stream *on, const LinearArgs *a, int threads)
{
    w->a = a;
    w->words = words_for(on, a->w->dtype);
    w->depth = w->words == WORDS_PAIR ? div_up(a->w->cols, 2) : a->w->cols;
    w->blocks = w->depth > KC ? div_up(w->depth, KC) : 1; /* K = 0 still has a result */
    plan_tasks(w, threads);
    size_t rows = (size_t)div_up(w->groups, w->row_tasks) * MR;
    size_t panels = (size_t)div_up(w->panels, w->panel_tasks);
    w->scratch_size = (KC * NR + rows * panels * NR) * sizeof(float);
    w->scratch = cpu_scratch(on, SCRATCH_LINEAR, w->scratch_size * (size_t)threads);
    size_t x_words = (size_t)w->blocks * (size_t)a->x->rows * X_STRIDE;
    w->x = cpu_scratch(on, SCRATCH_PACK_X, x_words * sizeof(uint32_t));
    return w->scratch && w->x;
}

bool ISA_SYM(linear_wide)(Stream *on, const LinearArgs *a)
{
    Wide w;
    const int threads = linear_threads(on, a);
    if (!plan(&w, on, a, threads))
        return false;
#pragma omp parallel num_threads(threads)
    {
        Flush flush = flush_on();
        char *scratch = w.scratch + (size_t)omp_get_thread_num() * w.scratch_size;
#pragma omp for schedule(static)
        for (int m = 0; m < a->x->rows; m++)
            pack_x_row(&w, (uint32_t *)w.x, m);
#pragma omp for schedule(dynamic)
        for (int t = 0; t < w.row_tasks * w.panel_tasks; t++)
            run_task(&w, t, scratch);
        flush_off(flush);
    }
    return true;
}
