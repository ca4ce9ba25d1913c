/* cpu/k_linear_encode.c: products with many rows: encoders, prompts, training.
 *
 * The unit along K is the word of 32 bits: one float, for vdpbf16ps a pair of bf16, for weights of 8 and 4 bits a pair
 * of 16-bit integers (row16.h), whose sums are floats again after each block, of 4 bits after each 32 inputs. x is copied
 * once per call into strips (tile.h). A task takes some panels of W outputs and some
 * rows; for each block of TILE_K words it packs the panel's weights into L1 scratch, widening them
 * on the way, and multiplies them with its rows in groups of up to MR. The sums of the blocks are
 * added in order. From weights in panels the same is packed, by copying; a panel here has W outputs, one of
 * those 32.
 * So a sum's order depends on K alone, and the weights, read where they lie, are read once per
 * MAX_ROWS rows. */
#include "cpu/i4.h"
#include "cpu/linear.h"
#include "cpu/row16.h"
#include "cpu/tile.h"

enum {
    MAX_PANELS = 12, /* per task */
    MAX_ROWS = 392,  /* per task */
    PANEL_BLOCK =
        TILE_K / I4_PAIRS * I4_ROWS * W, /* floats of a packed block; the most, that of I4 */
};

typedef struct Encode {
    const LinearArgs *a;
    TileKind kind;
    DType words; /* what a word of weights is widened from; F32: it is taken as it is */
    size_t
        stride; /* bytes from one weight row, or in panels from one input (BF16: two), to the next */
    int depth;  /* words along K */
    int blocks; /* blocks of K */
    int groups; /* row groups of at most MR rows */
    int panels;
    int row_tasks, panel_tasks;
    Ahead ahead;      /* how a block of a panel is fetched */
    int ahead_groups; /* the row groups that it takes */
    float *x;         /* packed words: [block][group][STRIP] */
    float *factor;    /* [row]: what its sums are multiplied with */
    char *scratch;    /* per thread: panel block, sums of a task */
    size_t scratch_size;
} Encode;

/* --- x ------------------------------------------------------------------------------------------ */

/* n floats to bf16, rounded to nearest even; an odd last one is followed by a zero. */
static void pack_pairs(float *dst, const float *x, int n)
{
#ifdef ISA_avx512bf16
    for (int i = 0; i < n; i += 32) {
        int lo = n - i < 16 ? n - i : 16, hi = n - i - lo < 16 ? n - i - lo : 16;
        __m512bh pair =
            _mm512_cvtne2ps_pbh((__m512)vf_load_n(x + i + lo, hi), (__m512)vf_load_n(x + i, lo));
        _mm512_storeu_si512(dst + i / 2, (__m512i)pair);
    }
#else
    (void)dst, (void)x, (void)n;
    BUG("bf16 products are not in this instruction set");
#endif
}

/* The start of part i when `total` is split evenly into `parts`. */
static int split(int total, int parts, int i)
{
    return (int)((long long)total * i / parts);
}

static int block_depth(const Encode *w, int block)
{
    int left = w->depth - block * TILE_K;
    return left < TILE_K ? left : TILE_K;
}

static float *strip_at(const Encode *w, int block, int group)
{
    return w->x + ((size_t)block * (size_t)w->groups + (size_t)group) * STRIP;
}

/* Words whose two halves are numbers of x: pairs of bf16, or of integers. */
static bool in_pairs(TileKind kind)
{
    return kind != TILE_STREAM;
}

static bool integers(TileKind kind)
{
    return kind == TILE_STREAM_I16 || kind == TILE_STREAM_I4;
}

/* n numbers of row i of x as pairs. */
static void pack_words(const Encode *w, float *to, int i, const float *x, int n)
{
    if (integers(w->kind))
        row16_pack((int16_t *)to, x, n, w->factor[i]);
    else
        pack_pairs(to, x, n);
}

/* A block of some rows of x as pairs, then as a strip. */
static void pack_strip_pairs(const Encode *w, float *to, int row, int count, int block)
{
    float words[MR * TILE_K] = {0}; /* I4 has whole blocks */
    const int first = 2 * TILE_K * block, left = w->a->x->cols - first;
    const int n = left < 2 * TILE_K ? left : 2 * TILE_K;
    for (int i = 0; i < count; i++)
        pack_words(w, words + i * TILE_K, row + i, row_f32(w->a->x, row + i) + first, n);
    tile_pack_strip(to, words, TILE_K, count, block_depth(w, block));
}

static void pack_group(const void *args, int group)
{
    const Encode *w = args;
    const Tensor *x = w->a->x;
    const int m = split(x->rows, w->groups, group);
    const int count = split(x->rows, w->groups, group + 1) - m;
    for (int i = m; i < m + count; i++)
        w->factor[i] = integers(w->kind) ? row16_scale(row_f32(x, i), x->cols) : 1;
    for (int b = 0; b < w->blocks; b++) {
        float *to = strip_at(w, b, group);
        if (in_pairs(w->kind))
            pack_strip_pairs(w, to, m, count, b);
        else
            tile_pack_strip(to, row_f32(x, m) + b * TILE_K, (size_t)x->ld, count,
                            block_depth(w, b));
    }
}

/* --- tasks -------------------------------------------------------------------------------------- */

static int div_up(int a, int b)
{
    return (a + b - 1) / b;
}

typedef struct Task {
    int p0, p1; /* panels */
    int g0, g1; /* row groups */
    int first, rows;
    float *packed, *sums; /* scratch: a panel block; [panel][row][W] */
} Task;

/* Weights in panels: numbers of the type `words` of a step along a panel of 32. */
static int per_step(const Encode *w)
{
    return w->words == BF16 ? 2 : 1; /* of K; pairs that stay pairs are one word */
}

/* Weights in rows: bytes of a word. */
static size_t word_size(const Encode *w)
{
    return w->kind == TILE_STREAM_I16 ? 2 : weight_size(w->words);
}

/* The first byte of a panel's weights in a block; of I4, of the 32 outputs among which it is. */
static const char *weights_at(const Encode *w, int panel, int block)
{
    const Param *p = w->a->w;
    const size_t out = (size_t)panel * W;
    if (p->dtype == I4)
        return (const char *)p->data + out / PANEL * panel_bytes(I4, (size_t)p->cols) +
               panel_bytes(I4, (size_t)block * TILE_K * (in_pairs(w->kind) ? 2 : 1));
    if (p->layout == LAYOUT_ROWS)
        return (const char *)p->data + out * w->stride + (size_t)(block * TILE_K) * word_size(w);
    const size_t steps = panel_inputs(p->dtype, (size_t)p->cols) / panel_group(p->dtype);
    const size_t first = out / PANEL * steps + (size_t)(block * TILE_K / per_step(w));
    return (const char *)p->data + first * w->stride + out % PANEL * (w->stride / PANEL);
}

/* Of a row's weights, the bytes from there to the end of the block or of the row. */
static size_t weight_bytes(const Encode *w, int block)
{
    size_t size = TILE_K * word_size(w), left = w->stride - (size_t)block * size;
    return left < size ? left : size;
}

/* The weights that will be packed after (panel, block), fetched while the kernel runs: without this
 * the product of a prompt takes the time of the memory and that of the arithmetic one after the
 * other. False where that is another task. */
static bool ahead_of(const Encode *w, const Task *t, int panel, int block, Ahead *ahead)
{
    bool more = ++panel < t->p1 || ++block < w->blocks;
    *ahead = w->ahead;
    ahead->p = more ? weights_at(w, panel < t->p1 ? panel : t->p0, block) : NULL;
    return more;
}

/* One packed panel block times all rows of the task. */
static void run_panel(const Encode *w, const Task *t, int panel, int block)
{
    const int rows = w->a->x->rows, n0 = panel * W, n = block_depth(w, block);
    const int left = w->a->w->rows - n0, outs = left < W ? left : W;
    const TileStart start = block > 0 ? TILE_ADD : TILE_SET;
    const TileKernel(*kernels)[2] = tile_kernels[w->kind];
    Ahead ahead;
    const int fetching = ahead_of(w, t, panel, block, &ahead) ? t->g0 + w->ahead_groups : t->g0;
    float *sums = t->sums + (size_t)(panel - t->p0) * (size_t)t->rows * W;
    for (int g = t->g0; g < t->g1; g++) {
        int m = split(rows, w->groups, g), count = split(rows, w->groups, g + 1) - m;
        float *s = sums + (size_t)(m - t->first) * W;
        kernels[count][outs > VL](n, strip_at(w, block, g), t->packed, s, start,
                                  g < fetching ? &ahead : NULL);
        if (g < fetching)
            ahead.p += TILE_K * ahead.step + TILE_K / (size_t)(ahead.mask + 1) * ahead.jump;
        if (block == w->blocks - 1)
            for (int i = 0; i < count; i++)
                linear_finish(w->a, m + i, n0, s + i * W, outs, w->factor[m + i]);
    }
}

static void pack_weights(const Encode *w, float *to, int panel, int block)
{
    const Param *p = w->a->w;
    const char *from = weights_at(w, panel, block);
    const int n = block_depth(w, block);
    if (w->kind == TILE_STREAM_I16)
        panel_pack_i16_t(to, from, w->stride, p->rows - panel * W, weight_bytes(w, block));
    else if (w->kind == TILE_STREAM_I4)
        panel_pack_i4_pairs(to, from, n, panel * W % PANEL);
    else if (p->dtype == I4)
        panel_pack_i4(to, from, n, panel * W % PANEL);
    else if (p->layout == LAYOUT_ROWS)
        panel_pack_t(w->words, to, from, w->stride, p->rows - panel * W, weight_bytes(w, block));
    else if (w->words == BF16)
        panel_pack_pairs(to, from, w->stride, (n + 1) / 2);
    else
        panel_pack(w->words, to, from, w->stride, n, W, NULL);
}

static void run_task(const Encode *w, int task, char *scratch)
{
    const int r = task % w->row_tasks, c = task / w->row_tasks, rows = w->a->x->rows;
    Task t = {.p0 = split(w->panels, w->panel_tasks, c),
              .p1 = split(w->panels, w->panel_tasks, c + 1),
              .g0 = split(w->groups, w->row_tasks, r),
              .g1 = split(w->groups, w->row_tasks, r + 1),
              .packed = (float *)scratch,
              .sums = (float *)scratch + PANEL_BLOCK};
    t.first = split(rows, w->groups, t.g0);
    t.rows = split(rows, w->groups, t.g1) - t.first;
    for (int b = 0; b < w->blocks; b++)
        for (int p = t.p0; p < t.p1; p++) {
            pack_weights(w, t.packed, p, b);
            run_panel(w, &t, p, b);
        }
}

static void run_tasks(const void *args, Part *part)
{
    const Encode *w = args;
    char *scratch = w->scratch + (size_t)part->thread * w->scratch_size;
    for (int task; (task = part_next(part)) >= 0;)
        run_task(w, task, scratch);
}

static TileKind words_of(const Stream *on, const LinearArgs *a)
{
    const bool native = on->precision == PREC_FAST && ((const CpuStream *)on)->bf16 == K16_NATIVE;
    return linear_integers(on, a)          ? a->w->dtype == I4 ? TILE_STREAM_I4 : TILE_STREAM_I16
           : a->w->dtype == BF16 && native ? TILE_STREAM_PAIR
                                           : TILE_STREAM;
}

/* Fetching a block of weights: the distances, and how many calls of the kernel it takes. */
static void plan_ahead(Encode *w)
{
    const size_t run = TILE_K * word_size(w), line = 64;
    size_t lines, each = TILE_K; /* in all; of a call */
    w->ahead = (Ahead){.step = line, .mask = TILE_K - 1};
    if (w->words == I4) {
        const size_t pairs = in_pairs(w->kind) ? 2 : 1;
        w->ahead.step = 16 * pairs; /* about a block of I4 in one of x */
        lines = panel_bytes(I4, TILE_K * pairs) / line;
        each = TILE_K * w->ahead.step / line;
    } else if (w->a->w->layout != LAYOUT_ROWS) {
        const size_t steps = (size_t)(TILE_K / per_step(w));
        w->ahead.step =
            W == PANEL ? line : w->stride; /* a panel here is all of one there, or a part */
        lines = W == PANEL ? steps * w->stride / line : steps;
    } else if (w->stride <= run) { /* one row behind the other */
        lines = W * w->stride / line;
    } else {
        w->ahead.jump = w->stride - run;
        w->ahead.mask = (int)(run / line) - 1;
        lines = W * run / line;
    }
    w->ahead_groups = (int)((lines + each - 1) / each);
}

/* Enough tasks that the threads end together, few enough that panels and rows are reused. */
static void plan_tasks(Encode *w, int threads)
{
    int rows = w->a->x->rows;
    w->panels = div_up(w->a->w->rows, W);
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

static bool plan(Encode *w, Stream *on, const LinearArgs *a, int threads)
{
    w->a = a;
    w->kind = words_of(on, a);
    w->words = w->kind == TILE_STREAM_PAIR ? F32 : a->w->dtype;
    w->stride =
        weight_size(a->w->dtype) *
        (a->w->layout == LAYOUT_ROWS ? (size_t)a->w->cols : PANEL * panel_group(a->w->dtype));
    w->depth = w->kind == TILE_STREAM      ? a->w->cols
               : w->kind == TILE_STREAM_I4 ? (int)i4_blocks((size_t)a->w->cols) * I4_PAIRS
                                           : div_up(a->w->cols, 2);
    w->blocks = w->depth > TILE_K ? div_up(w->depth, TILE_K) : 1; /* K = 0 still has a result */
    plan_ahead(w);
    plan_tasks(w, threads);
    size_t rows = (size_t)div_up(w->groups, w->row_tasks) * MR;
    size_t panels = (size_t)div_up(w->panels, w->panel_tasks);
    w->scratch_size = (PANEL_BLOCK + rows * panels * W) * sizeof(float);
    w->scratch = cpu_scratch(on, SCRATCH_LINEAR, w->scratch_size * (size_t)threads);
    size_t x_words = (size_t)w->blocks * (size_t)w->groups * STRIP;
    w->x = cpu_scratch(on, SCRATCH_PACK_X, (x_words + (size_t)a->x->rows) * sizeof(float));
    w->factor = w->x + x_words;
    return w->scratch && w->x;
}

bool ISA_SYM(linear_encode)(Stream *on, const LinearArgs *a)
{
    Encode w;
    const int threads = linear_threads(on, a);
    if (!plan(&w, on, a, threads))
        return false;
    run_each(on, threads, w.groups, pack_group, &w);
    run_parts(on, threads, w.row_tasks * w.panel_tasks, 1, run_tasks, &w);
    return true;
}
