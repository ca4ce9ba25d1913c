/* models/recipe_read.c: the numbers of a weight from its pieces. */
#include <string.h>

#include "models/recipe.h"

static const char *stored_row(const Recipe *r, const RecipePiece *p, size_t row)
{
    return (const char *)p->from->data + dtype_bytes(r->dtype, (p->first + row) * r->width);
}

const void *recipe_in_place(const Recipe *r)
{
    const char *at = r->n == 1 && !r->four.code ? stored_row(r, &r->piece[0], 0) : NULL;
    return recipe_quantised(r) || (uintptr_t)at % dtype_size(r->dtype) == 0 ? at : NULL;
}

void recipe_copy(const Recipe *r, void *out)
{
    if (r->four.code) {
        recipe_rows(r, out, 0, r->piece[0].rows);
        return;
    }
    if (r->panels)
        memcpy(out, r->piece[0].from->data, r->piece[0].from->bytes);
    for (int i = 0; !r->panels && i < r->n; i++) {
        const RecipePiece *p = &r->piece[i];
        char *to = (char *)out + dtype_bytes(r->dtype, p->to * r->width);
        size_t bytes = dtype_bytes(r->dtype, p->rows * r->width);
        if (p->from)
            memcpy(to, stored_row(r, p, 0), bytes);
        else
            memset(to, 0, bytes);
    }
}

/* Some rows of one piece: where they begin in it, and in what is asked for. */
typedef struct Run {
    size_t from, to, n;
} Run;

/* What of piece p lies among the n rows from `first` on; n 0: nothing. */
static Run run_of(const RecipePiece *p, size_t first, size_t n)
{
    size_t from = p->to > first ? p->to : first;
    size_t end = p->to + p->rows < first + n ? p->to + p->rows : first + n;
    return from < end ? (Run){from - p->to, from - first, end - from} : (Run){0};
}

static void narrow(void *out, size_t i, DType t, float x)
{
    uint16_t h = t == BF16 ? f32_to_bf16(x) : f32_to_f16(x);
    if (t == F32)
        memcpy((char *)out + 4 * i, &x, 4);
    else
        memcpy((char *)out + 2 * i, &h, 2);
}

/* What bitsandbytes' numbers stand for, rounded as it does before a product. */
static void four_rows(const Recipe *r, void *out, size_t first, size_t n)
{
    enum { SOME = 256 };
    float v[SOME];
    for (size_t k = 0; k < n * r->width; k += SOME) {
        size_t some = n * r->width - k < SOME ? n * r->width - k : SOME;
        bnb4_floats(&r->four, v, first * r->width + k, some);
        for (size_t i = 0; i < some; i++)
            narrow(out, k + i, r->dtype, v[i]);
    }
}

void recipe_rows(const Recipe *r, void *out, size_t first, size_t n)
{
    const size_t bytes = dtype_bytes(r->dtype, r->width);
    if (r->four.code) {
        four_rows(r, out, first, n);
        return;
    }
    for (size_t i = 0; r->panels && i < n; i++)
        panel_to_row((char *)out + i * bytes, r->piece[0].from->data, first + i, 0, r->width,
                     r->dtype, r->width);
    for (int i = 0; !r->panels && i < r->n; i++) {
        const RecipePiece *p = &r->piece[i];
        Run run = run_of(p, first, n);
        char *to = (char *)out + run.to * bytes;
        if (p->from && run.n)
            memcpy(to, stored_row(r, p, run.from), run.n * bytes);
        else
            memset(to, 0, run.n * bytes);
    }
}

/* A row of a weight in panels, some numbers at a time. */
static void panel_floats(const Recipe *r, float *out, size_t row)
{
    enum { SOME = 256 };
    float stored[SOME]; /* of any type */
    if (r->dtype == I4)
        panel_i4_to_row(out, r->piece[0].from->data, row, 0, r->width, r->width);
    for (size_t k = 0; r->dtype != I4 && k < r->width; k += SOME) {
        size_t n = r->width - k < SOME ? r->width - k : SOME;
        panel_to_row(stored, r->piece[0].from->data, row, k, n, r->dtype, r->width);
        convert_to_f32(out + k, stored, r->dtype, n);
    }
}

/* Rows of small integers. */
static void int8_floats(const Recipe *r, float *out, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int8_t *q = (const int8_t *)stored_row(r, &r->piece[0], first + i);
        float scale;
        recipe_scales(r, &scale, first + i, 1);
        for (size_t k = 0; k < r->width; k++)
            out[i * r->width + k] = scale * (float)q[k];
    }
}

static void plain_floats(const Recipe *r, float *out, size_t first, size_t n)
{
    for (int i = 0; i < r->n; i++) {
        const RecipePiece *p = &r->piece[i];
        Run run = run_of(p, first, n);
        float *to = out + run.to * r->width;
        if (p->from && run.n)
            convert_to_f32(to, stored_row(r, p, run.from), r->dtype, run.n * r->width);
        else
            memset(to, 0, run.n * r->width * sizeof *to);
    }
}

void recipe_floats(const Recipe *r, float *out, size_t first, size_t n)
{
    if (r->four.code)
        bnb4_floats(&r->four, out, first * r->width, n * r->width);
    else if (r->dtype == I8)
        int8_floats(r, out, first, n);
    else if (!r->panels)
        plain_floats(r, out, first, n);
    for (size_t i = 0; r->panels && i < n; i++)
        panel_floats(r, out + i * r->width, first + i);
}

const float *recipe_scales_in_place(const Recipe *r)
{
    const void *at = r->scale->data;
    return r->scale_by == 1 && (uintptr_t)at % sizeof(float) == 0 ? at : NULL;
}

void recipe_scales(const Recipe *r, float *out, size_t first, size_t n)
{
    memcpy(out, (const char *)r->scale->data + first * sizeof *out, n * sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] *= r->scale_by;
}

void recipe_done(const Recipe *r)
{
    for (int i = 0; i < r->n; i++)
        if (r->piece[i].from)
            ckpt_done_with(r->piece[i].from);
}

void recipe_done_rows(const Recipe *r, size_t first, size_t n)
{
    for (int i = 0; !r->panels && !r->four.code && i < r->n; i++) {
        const RecipePiece *p = &r->piece[i];
        Run run = run_of(p, first, n);
        if (p->from && !p->from->copied && run.n)
            ckpt_done_with(&(CkptTensor){.data = stored_row(r, p, run.from),
                                         .bytes = dtype_bytes(r->dtype, run.n * r->width)});
    }
}
