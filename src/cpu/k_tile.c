/* cpu/k_tile.c: the microkernels of the register-blocked product, and its packing. See cpu/tile.h. */
#include "cpu/i4.h"
#include "cpu/tile.h"
#include "cpu/transpose.h"

/* --- kernels ----------------------------------------------------------------------------------- */

enum { UNROLLED = 4 }; /* rows of B */

/* A word in every lane. */
VEC_INLINE vi word_at(const float *x)
{
    int bits;
    memcpy(&bits, x, sizeof bits);
    return vi_set1(bits);
}

/* x is a word of A, w a vector of such words. */
VEC_INLINE vf multiply_add(const TileKind kind, const float *x, vf w, vf sum)
{
#ifdef ISA_avx512bf16
    if (kind == TILE_STREAM_PAIR)
        return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)word_at(x), (__m512bh)w);
#endif
    (void)kind;
    return vf_fma_sum(vf_set1(*x), w, sum);
}

/* The lines of rows k..k+4 of B; k is a multiple of 4. */
VEC_INLINE void fetch(Ahead *f, int k)
{
    UNROLL for (int i = 0; i < UNROLLED; i++) __builtin_prefetch(f->p + (size_t)i * f->step, 0, 2);
    f->p += UNROLLED * f->step + ((k + UNROLLED) & f->mask ? 0 : f->jump);
}

/* One row of B times one column of A. */
VEC_INLINE void step(const TileKind kind, const int mr, const int nv, const float *a,
                     const float *b, vf lo[MR], vf hi[MR])
{
    const int row = kind == TILE_IN_PLACE ? TILE_LD : 1;
    const vf b0 = vf_loadu(b), b1 = nv == 2 ? vf_loadu(b + VL) : vf_zero();
    UNROLL for (int i = 0; i < mr; i++)
    {
        lo[i] = multiply_add(kind, a + i * row, b0, lo[i]);
        if (nv == 2)
            hi[i] = multiply_add(kind, a + i * row, b1, hi[i]);
    }
}

/* All n rows, four at a time: on a core that is shared with others every instruction beside the products costs time
 * (docs/SPEED.md). `some`: something is fetched. */
VEC_INLINE void steps(const TileKind kind, const int mr, const int nv, const bool some, int n,
                      const float *a, const float *b, vf lo[MR], vf hi[MR], Ahead *f)
{
    const int column = kind == TILE_IN_PLACE ? 1 : mr;
    int k = 0;
    for (; k + UNROLLED <= n; k += UNROLLED) {
        if (some)
            fetch(f, k);
        UNROLL for (int i = 0; i < UNROLLED; i++)
            step(kind, mr, nv, a + (k + i) * column, b + (k + i) * W, lo, hi);
    }
    for (; k < n; k++)
        step(kind, mr, nv, a + k * column, b + k * W, lo, hi);
}

/* kind, mr and nv (vectors per row, 1 or 2) are constants where this is called. */
VEC_INLINE void kernel(const TileKind kind, const int mr, const int nv, int n, const float *a,
                       const float *b, float *c, TileStart start, const Ahead *ahead)
{
    const int ldc = kind == TILE_IN_PLACE ? TILE_LD : W;
    vf lo[MR], hi[MR];
    UNROLL for (int i = 0; i < mr; i++)
    {
        lo[i] = start == TILE_RESUME ? vf_loadu(c + i * ldc) : vf_zero();
        hi[i] = nv == 2 && start == TILE_RESUME ? vf_loadu(c + i * ldc + VL) : vf_zero();
    }
    if (kind != TILE_IN_PLACE && ahead) {
        Ahead f = *ahead;
        steps(kind, mr, nv, true, n, a, b, lo, hi, &f);
    } else {
        steps(kind, mr, nv, false, n, a, b, lo, hi, NULL);
    }
    UNROLL for (int i = 0; i < mr; i++)
    {
        float *to = c + i * ldc;
        vf_storeu(to, start == TILE_ADD ? vf_loadu(to) + lo[i] : lo[i]);
        if (nv == 2)
            vf_storeu(to + VL, start == TILE_ADD ? vf_loadu(to + VL) + hi[i] : hi[i]);
    }
}

/* One row of B times one column of A, pairs of 16-bit integers. A text of its own: gcc 12 keeps integers that lie in a
 * `vf` in memory. */
VEC_INLINE void step_i16(const int mr, const int nv, const float *a, const float *b, vi lo[MR],
                         vi hi[MR])
{
    vi b0 = vi_loadu(b), b1 = nv == 2 ? vi_loadu(b + VL) : vi_set1(0);
    UNROLL for (int i = 0; i < mr; i++)
    {
        vi x = word_at(a + i);
        lo[i] = vi_dpwssd(lo[i], x, b0);
        if (nv == 2)
            hi[i] = vi_dpwssd(hi[i], x, b1);
    }
}

/* The same of all n rows, as steps. */
VEC_INLINE void steps_i16(const int mr, const int nv, const bool some, int n, const float *a,
                          const float *b, vi lo[MR], vi hi[MR], Ahead *f)
{
    int k = 0;
    for (; k + UNROLLED <= n; k += UNROLLED) {
        if (some)
            fetch(f, k);
        UNROLL for (int i = 0; i < UNROLLED; i++)
            step_i16(mr, nv, a + (k + i) * mr, b + (k + i) * W, lo, hi);
    }
    for (; k < n; k++)
        step_i16(mr, nv, a + k * mr, b + k * W, lo, hi);
}

VEC_INLINE void kernel_i16(const int mr, const int nv, int n, const float *a, const float *b,
                           float *c, TileStart start, const Ahead *ahead)
{
    vi lo[MR] = {{0}}, hi[MR] = {{0}};
    if (ahead) {
        Ahead f = *ahead;
        steps_i16(mr, nv, true, n, a, b, lo, hi, &f);
    } else {
        steps_i16(mr, nv, false, n, a, b, lo, hi, NULL);
    }
    UNROLL for (int i = 0; i < mr; i++)
    {
        float *to = c + i * W;
        vf l = vf_from_vi(lo[i]), h = vf_from_vi(hi[i]);
        vf_storeu(to, start == TILE_ADD ? vf_loadu(to) + l : l);
        if (nv == 2)
            vf_storeu(to + VL, start == TILE_ADD ? vf_loadu(to + VL) + h : h);
    }
}

/* n: whole blocks. */
VEC_INLINE void blocks_i4(const int mr, const int nv, const bool some, int n, const float *a,
                          const float *b, float *c, TileStart start, Ahead *f)
{
    for (int first = 0; first < n; first += I4_PAIRS, b += I4_ROWS * W) {
        const bool more = first > 0 || start == TILE_ADD;
        vi lo[MR] = {{0}}, hi[MR] = {{0}};
        steps_i16(mr, nv, some, I4_PAIRS, a + first * mr, b, lo, hi, f);
        const vf s0 = vf_loadu(b + I4_PAIRS * W), s1 = vf_loadu(b + I4_PAIRS * W + VL);
        UNROLL for (int i = 0; i < mr; i++)
        {
            float *to = c + i * W;
            vf_storeu(to, vf_fma(vf_from_vi(lo[i]), s0, more ? vf_loadu(to) : vf_zero()));
            if (nv == 2)
                vf_storeu(to + VL,
                          vf_fma(vf_from_vi(hi[i]), s1, more ? vf_loadu(to + VL) : vf_zero()));
        }
    }
}

VEC_INLINE void kernel_i4(const int mr, const int nv, int n, const float *a, const float *b,
                          float *c, TileStart start, const Ahead *ahead)
{
    if (ahead) {
        Ahead f = *ahead;
        blocks_i4(mr, nv, true, n, a, b, c, start, &f);
    } else {
        blocks_i4(mr, nv, false, n, a, b, c, start, NULL);
    }
}

#define DEFINE_KERNEL(kind, mr, nv)                                                 \
    static void kind##_##mr##_##nv(int n, const float *a, const float *b, float *c, \
                                   TileStart start, const Ahead *ahead)             \
    {                                                                               \
        kernel(kind, mr, nv, n, a, b, c, start, ahead);                             \
    }
#define DEFINE_IN_PLACE(mr) DEFINE_KERNEL(TILE_IN_PLACE, mr, 1) DEFINE_KERNEL(TILE_IN_PLACE, mr, 2)
#define DEFINE_STREAM(mr)   DEFINE_KERNEL(TILE_STREAM, mr, 1) DEFINE_KERNEL(TILE_STREAM, mr, 2)
#define DEFINE_PAIR(mr) \
    DEFINE_KERNEL(TILE_STREAM_PAIR, mr, 1) DEFINE_KERNEL(TILE_STREAM_PAIR, mr, 2)
#define DEFINE_I16_NV(mr, nv)                                                                \
    static void TILE_STREAM_I16_##mr##_##nv(int n, const float *a, const float *b, float *c, \
                                            TileStart start, const Ahead *ahead)             \
    {                                                                                        \
        kernel_i16(mr, nv, n, a, b, c, start, ahead);                                        \
    }
#define DEFINE_I4_NV(mr, nv)                                                                \
    static void TILE_STREAM_I4_##mr##_##nv(int n, const float *a, const float *b, float *c, \
                                           TileStart start, const Ahead *ahead)             \
    {                                                                                       \
        kernel_i4(mr, nv, n, a, b, c, start, ahead);                                        \
    }
#define DEFINE_I16(mr) DEFINE_I16_NV(mr, 1) DEFINE_I16_NV(mr, 2)
#define DEFINE_I4(mr)  DEFINE_I4_NV(mr, 1) DEFINE_I4_NV(mr, 2)
#define NIBBLES(mr)    {TILE_STREAM_I4_##mr##_1, TILE_STREAM_I4_##mr##_2},
#define IN_PLACE(mr)   {TILE_IN_PLACE_##mr##_1, TILE_IN_PLACE_##mr##_2},
#define STREAM(mr)     {TILE_STREAM_##mr##_1, TILE_STREAM_##mr##_2},
#define I16(mr)        {TILE_STREAM_I16_##mr##_1, TILE_STREAM_I16_##mr##_2},
#define PAIR(mr)       {TILE_STREAM_PAIR_##mr##_1, TILE_STREAM_PAIR_##mr##_2},

#if MR == 14
#define EACH_MR(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif MR == 8
#define EACH_MR(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#else
#define EACH_MR(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif

EACH_MR(DEFINE_IN_PLACE)
EACH_MR(DEFINE_STREAM)
EACH_MR(DEFINE_I16)
EACH_MR(DEFINE_I4)
#ifdef ISA_avx512bf16
EACH_MR(DEFINE_PAIR)
#endif

const TileKernel tile_kernels[5][MR + 1][2] = {
    [TILE_IN_PLACE] = {{NULL}, EACH_MR(IN_PLACE)}, [TILE_STREAM] = {{NULL}, EACH_MR(STREAM)},
    [TILE_STREAM_I16] = {{NULL}, EACH_MR(I16)},    [TILE_STREAM_I4] = {{NULL}, EACH_MR(NIBBLES)},
#ifdef ISA_avx512bf16
    [TILE_STREAM_PAIR] = {{NULL}, EACH_MR(PAIR)},
#endif
};

/* --- tiles ------------------------------------------------------------------------------------- */

static void pack_row(float *to, const float *from, int n, float factor)
{
    const vf f = vf_set1(factor);
    for (; n > 0; n -= TILE_K, from += TILE_K, to += TILE) {
        const int here = n < TILE_K ? n : TILE_K;
        int j = 0;
        for (; j + VL <= here; j += VL)
            vf_storeu(to + j, f * vf_loadu(from + j));
        if (j < here)
            vf_storeu(to + j, f * vf_load_n(from + j, here - j));
    }
}

void tile_pack(float *to, const float *from, size_t ld, int mr, int k, float factor)
{
    for (int i = 0; i < mr; i++)
        pack_row(to + i * TILE_LD, from + (size_t)i * ld, k, factor);
}

void tile_pack_t(float *to, const float *from, size_t ld, int mr, int k)
{
    for (int j = 0; j < k; j++, from += ld) {
        float *t = to + tile_at(j);
        for (int i = 0; i < mr; i++)
            t[i * TILE_LD] = from[i];
    }
}

/* Columns k..k+n of rows i..mr: each stored over what the last store of the column before left behind
 * its own rows. */
VEC_INLINE void strip_square(float *to, const float *from, size_t ld, int mr, int i, int k, int n)
{
    vi r[VL] = {{0}};
    for (int j = 0; j < VL && i + j < mr; j++) {
        const float *p = from + (size_t)(i + j) * ld + k;
        r[j] = (vi)(n == VL ? vf_loadu(p) : vf_load_n(p, n));
    }
    vi_transpose(r);
    for (int j = 0; j < n; j++)
        vf_storeu(to + (k + j) * mr + i, (vf)r[j]);
}

void tile_pack_strip(float *to, const float *from, size_t ld, int mr, int k)
{
    for (int j = 0; j < k; j += VL) {
        const int n = k - j < VL ? k - j : VL;
        for (int i = (mr - 1) / VL * VL; i >= 0;
             i -= VL) /* the last rows write over the next column */
            strip_square(to, from, ld, mr, i, j, n);
    }
}

/* --- panels ------------------------------------------------------------------------------------ */

VEC_INLINE void pack_rows(const DType t, float *to, const char *from, size_t stride, int k,
                          int cols, const float *scale)
{
    for (int j = 0; j < k; j++, from += stride, to += W)
        for (int h = 0; h < W; h += VL) {
            const char *p = from + (size_t)h * weight_size(t);
            vf x = cols - h >= VL ? weight_load(t, p)
                   : cols - h > 0 ? weight_load_n(t, p, cols - h)
                                  : vf_zero();
            vf_storeu(to + h, scale ? x * vf_set1(scale[j]) : x);
        }
}

void panel_pack(DType t, float *to, const void *from, size_t stride, int k, int cols,
                const float *scale)
{
    switch (t) {
    case BF16: pack_rows(BF16, to, from, stride, k, cols, scale); break;
    case F16: pack_rows(F16, to, from, stride, k, cols, scale); break;
    case I8: pack_rows(I8, to, from, stride, k, cols, scale); break;
    default: pack_rows(F32, to, from, stride, k, cols, scale); break;
    }
}

void panel_pack_pairs(float *to, const void *from, size_t stride, int n)
{
    const char *row = from;
    for (int j = 0; j < n; j++, row += stride, to += 2 * W)
        for (int h = 0; h < W; h += VL) {
            vf lo, hi;
            weight_load_pairs(row + 4 * h, &lo, &hi);
            vf_storeu(to + h, lo);
            vf_storeu(to + W + h, hi);
        }
}

void panel_pack_i4(float *to, const char *blocks, int n, int first)
{
    for (; n > 0; n -= I4_BLOCK, blocks += I4_BYTES, to += I4_BLOCK * W)
        i4_widen(to, W, blocks, first, W);
}

void panel_pack_i4_pairs(float *to, const char *blocks, int n, int first)
{
    for (; n > 0; n -= I4_PAIRS, blocks += I4_BYTES, to += I4_ROWS * W)
        i4_pairs(to, W, blocks, first, W);
}

/* VL numbers of VL rows. */
VEC_INLINE void pack_square(const DType t, float *to, const char *from, size_t stride)
{
    vi r[VL];
    UNROLL for (int i = 0; i < VL; i++) r[i] = (vi)weight_load(t, from + (size_t)i * stride);
    vi_transpose(r);
    UNROLL for (int i = 0; i < VL; i++) vf_storeu(to + i * W, (vf)r[i]);
}

/* At the edges: `bytes` of each of `rows` rows are there, the rest is zero; k rows are written. */
static void pack_edge(const DType t, float *to, const char *from, size_t stride, int rows,
                      size_t bytes, int k)
{
    vi r[VL] = {{0}};
    for (int i = 0; i < rows; i++, from += stride)
        r[i] = (vi)(bytes == VL * weight_size(t) ? weight_load(t, from)
                                                 : weight_load_bytes(t, from, bytes));
    vi_transpose(r);
    for (int j = 0; j < k; j++)
        vf_storeu(to + j * W, (vf)r[j]);
}

/* Up to VL words of four bytes of each of `rows` rows, as two rows of pairs for each word. */
static void pack_quads(float *to, const char *from, size_t stride, int rows, size_t bytes,
                       int words)
{
    vi r[VL] = {{0}};
    for (int i = 0; i < rows; i++, from += stride)
        r[i] = (vi)(bytes == 4 * VL ? vf_loadu((const float *)from)
                                    : weight_load_bytes(F32, from, bytes));
    vi_transpose(r);
    for (int j = 0; j < words; j++) {
        vf_storeu(to + 2 * j * W, (vf)vi_first_pairs(r[j]));
        vf_storeu(to + (2 * j + 1) * W, (vf)vi_last_pairs(r[j]));
    }
}

void panel_pack_i16_t(float *to, const void *from, size_t stride, int n, size_t bytes)
{
    const int words = (int)((bytes + 3) / 4);
    for (int half = 0; half < W; half += VL) {
        int left = n - half, rows = left < 0 ? 0 : left < VL ? left : VL;
        const char *row = (const char *)from + (size_t)(rows ? half : 0) * stride;
        for (int k = 0; k < words; k += VL) {
            size_t there = bytes - 4 * (size_t)k;
            pack_quads(to + 2 * k * W + half, row + 4 * k, stride, rows,
                       there < 4 * VL ? there : 4 * VL, words - k < VL ? words - k : VL);
        }
    }
}

VEC_INLINE void pack_columns(const DType t, float *to, const char *from, size_t stride, int n,
                             size_t bytes)
{
    const size_t size = weight_size(t), most = VL * size;
    const int depth = (int)((bytes + size - 1) / size); /* half a pair of bf16 is a whole word */
    for (int half = 0; half < W; half += VL) {
        int left = n - half, rows = left < 0 ? 0 : left < VL ? left : VL;
        const char *row = from + (size_t)(rows ? half : 0) * stride;
        for (int k = 0; k < depth; k += VL) {
            size_t at = (size_t)k * size, there = bytes - at;
            float *square = to + k * W + half;
            if (rows == VL && there >= most)
                pack_square(t, square, row + at, stride);
            else
                pack_edge(t, square, row + at, stride, rows, there < most ? there : most,
                          depth - k < VL ? depth - k : VL);
        }
    }
}

void panel_pack_t(DType t, float *to, const void *from, size_t stride, int n, size_t bytes)
{
    switch (t) {
    case BF16: pack_columns(BF16, to, from, stride, n, bytes); break;
    case F16: pack_columns(F16, to, from, stride, n, bytes); break;
    case I8: pack_columns(I8, to, from, stride, n, bytes); break;
    default: pack_columns(F32, to, from, stride, n, bytes); break;
    }
}
