/* cpu/tile.h: the one register-blocked product, of linear with many rows, of attention and of the
 * backward functions.
 *
 *     C[mr, W] = A[mr, k] B[k, W]
 *
 * A is a run of tiles: up to MR rows of TILE_K columns, rows TILE_LD floats apart, so that every
 * broadcast inside the kernel has one base register plus a constant. The next tile has the next
 * TILE_K columns. B is a panel: k rows of W neighbouring columns, one after another. C lies in a
 * tile as well, so that attention's scores become the A of its values. Only linear, which has many
 * rows, has A in strips, the kernel's mr numbers of a column beside each other, so that one stream
 * comes from the caches and not mr; and C in rows that follow one another.
 *
 * Every element of C is the sum over k in ascending order, one vf_fma per term: its bits do not
 * depend on mr, nor on how a caller cuts the rows into blocks, nor on a cut of k where TILE_RESUME
 * goes on. */
#ifndef CPU_TILE_H
#define CPU_TILE_H

#include "cpu/kernels.h"
#include "cpu/weights.h"

#if defined(VEC_AVX512)
#define MR 14 /* 28 sums, 2 of B and the broadcast: 31 of 32 registers */
#elif defined(__aarch64__)
#define MR 8 /* gcc fetches all broadcasts of a column first: with 12 rows the sums spill */
#else
#define MR 6 /* 12 sums, 2 of B and the broadcast: 15 of 16 registers */
#endif
#define W (2 * VL)

enum {
    TILE_K = 256,          /* a panel of so many rows is 32 KB at AVX-512, 16 KB at AVX2: in L1 */
    TILE_LD = TILE_K + 16, /* not a multiple of the distance at which lines share a cache set */
    TILE = MR * TILE_LD,   /* floats of a tile */
    STRIP = TILE_K * MR +
            16, /* floats of a strip, with room for what tile_pack_strip writes behind it */
};

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Number of panels that n columns need. */
VEC_INLINE int panels(int n)
{
    return (n + W - 1) / W;
}

/* Number of tiles that n columns need. */
VEC_INLINE int tiles(int n)
{
    return (n + TILE_K - 1) / TILE_K;
}

/* Where column j of a run of tiles begins. */
VEC_INLINE int tile_at(int j)
{
    return j / TILE_K * TILE + j % TILE_K;
}

/* --- product ----------------------------------------------------------------------------------- */

typedef enum TileStart {
    TILE_SET,    /* C = A B */
    TILE_RESUME, /* C goes on where the last call stopped: more terms of the same sums */
    TILE_ADD,    /* C += A B, where A B is summed up by itself */
} TileStart;

/* Memory to fetch while the kernel runs: for each column of A the cache line of a place, `step` bytes behind the one
 * before, and where mask + 1 of them (4 at least) have been, `jump` bytes more. */
typedef struct Ahead {
    const char *p;
    size_t step, jump;
    int mask;
} Ahead;

/* The kernel is one text; what its users differ in is constant in each of its forms. */
typedef enum TileKind {
    TILE_IN_PLACE,    /* C in a tile, nothing fetched: `ahead` is NULL */
    TILE_STREAM,      /* A is a strip, C in rows of W */
    TILE_STREAM_PAIR, /* words of A and B are pairs of bf16: in avx512bf16 only */
    TILE_STREAM_I16, /* words are pairs of 16-bit integers; B's stay below 129, so that TILE_K pairs fit a sum */
    TILE_STREAM_I4, /* the same, B as panel_pack_i4_pairs leaves it: integers and the scales of 32 inputs in turn */
} TileKind;

/* n <= TILE_K columns of a tile at a times n rows of a panel at b. ahead NULL: nothing is fetched. */
typedef void (*TileKernel)(int n, const float *a, const float *b, float *c, TileStart start,
                           const Ahead *ahead);

/* [kind][rows of A][both halves of the panel] */
#define tile_kernels ISA_SYM(tile_kernels)
extern const TileKernel tile_kernels[5][MR + 1][2];

/* Columns k0..k1 of A times rows k0..k1 of B, for 1 <= mr <= MR and `cols` columns of interest
 * (1..W): with cols <= VL only the first half of the panel is computed. b points to row 0 of the
 * panel, a to the first tile. */
VEC_INLINE void tile_product(int mr, int cols, const float *a, int k0, int k1, const float *b,
                             float *c, TileStart start)
{
    const TileKernel kernel = tile_kernels[TILE_IN_PLACE][mr][cols > VL];
    do {
        int left = TILE_K - k0 % TILE_K, n = k1 - k0 < left ? k1 - k0 : left;
        kernel(n, a + tile_at(k0), b + (size_t)k0 * W, c, start, NULL);
        start = start == TILE_SET ? TILE_RESUME : start;
        k0 += n;
    } while (k0 < k1);
}

/* Columns 0..least + i of A for row i: what a causal mask leaves (step 1), or 0..least for all rows
 * (step 0). No row touches more of B than it may: 0 * NaN would be NaN. */
VEC_INLINE void tile_product_to(int mr, int cols, const float *a, int least, int step,
                                const float *b, float *c)
{
    tile_product(mr, cols, a, 0, least, b, c, TILE_SET);
    for (int i = 1; step && i < mr; i++)
        tile_product(1, cols, a + i * TILE_LD, least, least + i, b, c + i * TILE_LD, TILE_RESUME);
}

/* --- packing A --------------------------------------------------------------------------------- */

/* mr rows of k floats, `ld` apart, times factor. */
#define tile_pack ISA_SYM(tile_pack)
void tile_pack(float *to, const float *from, size_t ld, int mr, int k, float factor);

/* mr rows of k <= TILE_K words, `ld` apart, column by column; writes fewer than VL words behind. */
#define tile_pack_strip ISA_SYM(tile_pack_strip)
void tile_pack_strip(float *to, const float *from, size_t ld, int mr, int k);

/* The transpose: from is [k, mr] with rows `ld` apart. */
#define tile_pack_t ISA_SYM(tile_pack_t)
void tile_pack_t(float *to, const float *from, size_t ld, int mr, int k);

/* --- packing B: from rows of weights or other numbers of type t, `stride` bytes apart ----------- */

/* Rows become rows: k of cols <= W numbers, row j times scale[j] unless scale is NULL; missing
 * columns become zero. */
#define panel_pack ISA_SYM(panel_pack)
void panel_pack(DType t, float *to, const void *from, size_t stride, int k, int cols,
                const float *scale);

/* n rows of W pairs of bf16, `stride` bytes apart: of each the first numbers are a row, the second ones the next. */
#define panel_pack_pairs ISA_SYM(panel_pack_pairs)
void panel_pack_pairs(float *to, const void *from, size_t stride, int n);

/* n rows of W numbers, from blocks of I4: of 32 outputs those from the first-th on; writes whole blocks. */
#define panel_pack_i4 ISA_SYM(panel_pack_i4)
void panel_pack_i4(float *to, const char *blocks, int n, int first);

/* n words of W numbers each: of every block 16 rows of pairs of 16-bit integers and a row of scales; whole blocks. */
#define panel_pack_i4_pairs ISA_SYM(panel_pack_i4_pairs)
void panel_pack_i4_pairs(float *to, const char *blocks, int n, int first);

/* Rows become columns: n <= W rows of `bytes` bytes, which end with the row or hold TILE_K numbers;
 * missing columns become zero. */
#define panel_pack_t ISA_SYM(panel_pack_t)
void panel_pack_t(DType t, float *to, const void *from, size_t stride, int n, size_t bytes);

/* The same of I8, as pairs of 16-bit integers: of `bytes` numbers each. */
#define panel_pack_i16_t ISA_SYM(panel_pack_i16_t)
void panel_pack_i16_t(float *to, const void *from, size_t stride, int n, size_t bytes);

/* n rows of hd floats, `ld` apart, as panels: panel_columns makes them columns of B, panel_rows rows. */
static inline __attribute__((unused)) void panel_columns(float *to, const float *from, size_t ld,
                                                         int n, int hd)
{
    for (int j = 0; j < n; j += W)
        panel_pack_t(F32, to + (size_t)j * (size_t)hd, from + (size_t)j * ld, ld * sizeof *from,
                     n - j, (size_t)hd * sizeof *from);
}

static inline __attribute__((unused)) void panel_rows(float *to, const float *from, size_t ld,
                                                      int n, int hd)
{
    for (int j = 0; j < hd; j += W)
        panel_pack(F32, to + (size_t)j * (size_t)n, from + j, ld * sizeof *from, n, hd - j, NULL);
}

/* --- unpacking --------------------------------------------------------------------------------- */

/* to += the first `cols` columns of row c of C, times factor */
VEC_INLINE void tile_row_add(float *to, const float *c, int cols, float factor)
{
    vf f = vf_set1(factor);
    for (int j = 0; j < cols; j += VL) {
        int n = cols - j < VL ? cols - j : VL;
        if (n == VL)
            vf_storeu(to + j, vf_fma(vf_loadu(c + j), f, vf_loadu(to + j)));
        else
            vf_store_n(to + j, vf_fma(vf_loadu(c + j), f, vf_load_n(to + j, n)), n);
    }
}

/* to = the first `cols` columns of row c of C, times factor */
VEC_INLINE void tile_row_set(float *to, const float *c, int cols, float factor)
{
    vf f = vf_set1(factor);
    for (int j = 0; j < cols; j += VL) {
        int n = cols - j < VL ? cols - j : VL;
        if (n == VL)
            vf_storeu(to + j, vf_loadu(c + j) * f);
        else
            vf_store_n(to + j, vf_loadu(c + j) * f, n);
    }
}

#endif
