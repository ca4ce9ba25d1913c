/* cpu/k_linear_i4.c: products for decoding with weights of 4 bits (tensor/panel.h): few rows of x, every weight read from
 * memory once.
 *
 * x becomes integers of 8 bits, 32 neighbours with one scale, the weights' blocks; the largest is 127. A weight lies as a
 * number 0..15, 8 more than it is: from a block's sum go 8 times the sum of its x. Then the sum becomes a float, times
 * both scales, and the blocks are added in order. */
#include "cpu/i4.h"
#include "cpu/linear.h"
#include "cpu/row16.h"

enum {
    ROWS = 8,         /* of x that meet a block while it is in the cache's first level */
    AHEAD = 4608,     /* prefetch distance, bytes: eight blocks */
    SERIAL_ROWS = 8,  /* so many rows of x are rounded faster than a thread wakes */
    ALL = PANEL / VL, /* vectors of outputs */
};

/* 32 numbers of a row of x. */
typedef struct Piece {
    int8_t q[I4_BLOCK];
    float scale;
    int32_t eight; /* times the sum of q */
} Piece;

typedef struct Nibbles {
    const LinearArgs *a;
    Piece *x; /* [block][row] */
    int blocks;
    int size; /* panels of a task */
} Nibbles;

VEC_INLINE vi four(const Piece *x, int at)
{
    int32_t word;
    memcpy(&word, x->q + at, sizeof word);
    return vi_set1(word);
}

/* `rows` pieces of x times nv vectors of outputs, from the first-th output on: constants where this is called. */
VEC_INLINE void some_outputs(const int rows, const int nv, const char *block, int first,
                             const Piece *x, float (*sums)[PANEL])
{
    vi acc[ROWS][ALL] = {{{0}}};
#pragma GCC unroll 4
    for (int g = 0; g < I4_BLOCK / 8; g++)
#pragma GCC unroll 8
        for (int v = 0; v < nv; v++) {
            const vi words = i4_words(block, first + v * VL, g);
            const vi low = words & vi_set1(0x0f0f0f0f), high = (words >> 4) & vi_set1(0x0f0f0f0f);
#pragma GCC unroll 8
            for (int m = 0; m < rows; m++) {
                acc[m][v] = vi_dp_nibbles(acc[m][v], low, four(x + m, 8 * g));
                acc[m][v] = vi_dp_nibbles(acc[m][v], high, four(x + m, 8 * g + 4));
            }
        }
#pragma GCC unroll 8
    for (int v = 0; v < nv; v++) {
        const vf scale = i4_scales(block, first + v * VL);
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++) {
            float *to = sums[m] + first + v * VL;
            const vf whole = vf_from_vi(vi_nibble_sums(acc[m][v]) - vi_set1(x[m].eight));
            vf_storeu(to, vf_fma(whole, scale * vf_set1(x[m].scale), vf_loadu(to)));
        }
    }
}

/* Few rows leave registers for several vectors of outputs, which then share what is loaded of x. */
VEC_INLINE void block_products(const int rows, const char *block, const Piece *x,
                               float (*sums)[PANEL])
{
#ifdef VEC_AVX512
    const int nv = ALL;
#else
    const int nv = rows == 1 ? 4 : rows == 2 ? 2 : 1;
#endif
    for (int line = 0; line < I4_BYTES; line += 64)
        __builtin_prefetch(block + AHEAD + line, 0, 3);
    for (int v = 0; v < ALL; v += nv)
        some_outputs(rows, nv, block, v * VL, x, sums);
}

VEC_INLINE void all_blocks(const int rows, const Nibbles *t, const char *panel, int m,
                           float (*sums)[PANEL])
{
    for (int b = 0; b < t->blocks; b++, panel += I4_BYTES)
        block_products(rows, panel, t->x + (size_t)b * (size_t)t->a->x->rows + m, sums);
}

/* The switch makes `rows` a constant. */
static void panel_sums(int rows, const Nibbles *t, const char *panel, int m, float (*sums)[PANEL])
{
    switch (rows) {
    case 1: all_blocks(1, t, panel, m, sums); break;
    case 2: all_blocks(2, t, panel, m, sums); break;
    case 3: all_blocks(3, t, panel, m, sums); break;
    case 4: all_blocks(4, t, panel, m, sums); break;
    case 5: all_blocks(5, t, panel, m, sums); break;
    case 6: all_blocks(6, t, panel, m, sums); break;
    case 7: all_blocks(7, t, panel, m, sums); break;
    default: all_blocks(ROWS, t, panel, m, sums); break;
    }
}

/* The outputs of one panel for up to ROWS rows of x, from row m on. */
static void do_panel(const Nibbles *t, int panel, int m, int rows)
{
    const LinearArgs *a = t->a;
    const int first = panel * PANEL, left = a->w->rows - first;
    const char *w = (const char *)a->w->data + (size_t)panel * panel_bytes(I4, (size_t)a->w->cols);
    float sums[ROWS][PANEL] = {{0}};
    panel_sums(rows, t, w, m, sums);
    for (int i = 0; i < rows; i++)
        linear_finish(a, m + i, first, sums[i], left < PANEL ? left : PANEL, 1);
}

static void panel_tasks(const void *args, Part *part)
{
    const Nibbles *t = args;
    const int all = (int)panel_count((size_t)t->a->w->rows), rows = t->a->x->rows;
    for (int task; (task = part_next(part)) >= 0;)
        for (int i = task * t->size; i < all && i < (task + 1) * t->size; i++)
            for (int m = 0; m < rows; m += ROWS)
                do_panel(t, i, m, rows - m < ROWS ? rows - m : ROWS);
}

static void round_piece(Piece *p, const float *x, int n)
{
    float all[I4_BLOCK] = {0};
    vi sum = vi_set1(0);
    memcpy(all, x, (size_t)n * sizeof *all);
    p->scale = integer_scale(all, I4_BLOCK, INT8_MAX);
    const bool any = p->scale > 0; /* no: zeros, and no number is the scale itself */
    const vf up = vf_set1(any ? 1 / p->scale : 0);
    for (int i = 0; i < I4_BLOCK; i += VL)
        sum += vf_store_s8(p->q + i, any ? vf_loadu(all + i) * up : vf_zero());
    p->eight = 8 * (int32_t)vf_hsum(vf_from_vi(sum));
}

static void round_row(const void *args, int i)
{
    const Nibbles *t = args;
    const Tensor *x = t->a->x;
    for (int b = 0; b < t->blocks; b++) {
        const int first = b * I4_BLOCK, left = x->cols - first;
        round_piece(t->x + (size_t)b * (size_t)x->rows + i, row_f32(x, i) + first,
                    left < I4_BLOCK ? left : I4_BLOCK);
    }
}

bool ISA_SYM(linear_i4)(Stream *on, const LinearArgs *a)
{
    const int threads = linear_threads(on, a), rows = a->x->rows;
    const int all = (int)panel_count((size_t)a->w->rows), size = linear_task_panels(a->w, threads);
    Nibbles t = {.a = a, .blocks = (int)i4_blocks((size_t)a->w->cols), .size = size};
    t.x = cpu_scratch(on, SCRATCH_PACK_X, (size_t)t.blocks * (size_t)rows * sizeof *t.x);
    if (t.blocks && !t.x)
        return false;
    run_each(on, rows < SERIAL_ROWS ? 1 : threads, rows, round_row, &t);
    run_parts(on, threads, (all + size - 1) / size, 1, panel_tasks, &t);
    return true;
}
