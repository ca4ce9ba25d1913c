/* eval/score_retrieval.c: recall from matrices of scores. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/items.h"
#include "eval/recall.h"
#include "eval/score.h"

/* LAVIS' score of what was not among the candidates. */
static const double NOT_RANKED = -100;

/* Rows of one direction, dense. */
typedef struct Matrix {
    double *cells;
    size_t rows, columns;
    size_t at; /* the next row of the file that is read */
} Matrix;

typedef struct Work {
    const ScoreFiles *f;
    size_t *image_of; /* of each text */
    size_t texts, text_cap, images;
    size_t *first_text; /* of each image, and texts at the end */
    size_t first_cap;
    Matrix to_text, to_image, *now;
} Work;

/* --- ground truth --------------------------------------------------------------------------------- */

/* An entry of LAVIS' retrieval annotations: a picture and its caption or captions, whose texts are numbered on. */
static bool add_picture(void *self, const json_t *item, const char *where, Error *e)
{
    Work *w = self;
    const json_t *captions = json_object_get(item, "caption");
    size_t n = json_is_string(captions) ? 1 : json_array_size(captions);
    if (n == 0)
        return error_set(e, ERR_FAILED, "%s: caption: expected a string or a list of strings",
                         where);
    if (!MEM_GROW(w->image_of, &w->text_cap, w->texts + n) ||
        !MEM_GROW(w->first_text, &w->first_cap, w->images + 2))
        return error_memory(e, where, n);
    w->first_text[w->images] = w->texts;
    for (size_t i = 0; i < n; i++)
        w->image_of[w->texts++] = w->images;
    w->first_text[++w->images] = w->texts;
    return true;
}

/* --- scores --------------------------------------------------------------------------------------- */

static bool bad_row(const Matrix *m, const char *where, size_t got, Error *e)
{
    return error_set(e, ERR_FAILED, "%s: row: expected %zu scores, got %zu", where, m->columns,
                     got);
}

/* Of several shards the one that has ranked it: the rest say NOT_RANKED. */
static bool put(double *cell, const json_t *v, const char *where, Error *e)
{
    double x = json_number_value(v);
    if (!json_is_number(v) || !isfinite(x))
        return error_set(e, ERR_FAILED, "%s: score: expected a number", where);
    if (x > *cell)
        *cell = x;
    return true;
}

static bool take_dense(const Matrix *m, double *row, const json_t *list, const char *where,
                       Error *e)
{
    if (json_array_size(list) != m->columns)
        return bad_row(m, where, json_array_size(list), e);
    for (size_t i = 0; i < m->columns; i++)
        if (!put(&row[i], json_array_get(list, i), where, e))
            return false;
    return true;
}

/* {"index": [...], "score": [...]}: the candidates alone. */
static bool take_sparse(const Matrix *m, double *row, const json_t *item, const char *where,
                        Error *e)
{
    const json_t *index = json_object_get(item, "index"), *score = json_object_get(item, "score");
    size_t n = json_array_size(index);
    if (!json_is_array(index) || !json_is_array(score) || n != json_array_size(score))
        return error_set(e, ERR_FAILED, "%s: row: expected lists index and score of one length",
                         where);
    for (size_t i = 0; i < n; i++) {
        const json_t *at = json_array_get(index, i);
        json_int_t k = json_integer_value(at);
        if (!json_is_integer(at) || k < 0 || (size_t)k >= m->columns)
            return error_set(e, ERR_FAILED, "%s: index: expected integers below %zu", where,
                             m->columns);
        if (!put(&row[k], json_array_get(score, i), where, e))
            return false;
    }
    return true;
}

static bool add_row(void *self, const json_t *item, const char *where, Error *e)
{
    Matrix *m = ((Work *)self)->now;
    if (m->at == m->rows)
        return error_set(e, ERR_FAILED, "%s: expected %zu rows, got more", where, m->rows);
    double *row = m->cells + m->columns * m->at++;
    if (json_is_array(item))
        return take_dense(m, row, item, where, e);
    return take_sparse(m, row, item, where, e);
}

/* What the machine does not have is refused before it is touched. */
static bool allocate(Matrix *m, size_t rows, size_t columns, Error *e)
{
    size_t have = mem_available(), most = SIZE_MAX / sizeof(double) / columns;
    double bytes = (double)rows * (double)columns * sizeof(double);
    m->rows = rows;
    m->columns = columns;
    if (rows <= most && (!have || bytes <= (double)have))
        m->cells = mem_alloc(rows * columns * sizeof(double));
    if (!m->cells)
        return error_memory(e, "scores", rows <= most ? rows * columns * sizeof(double) : SIZE_MAX);
    for (size_t i = 0; i < rows * columns; i++)
        m->cells[i] = NOT_RANKED;
    return true;
}

static bool read_matrix(Work *w, Matrix *m, const char *name, Error *e)
{
    w->now = m;
    for (size_t i = 0; i < w->f->count; i++) {
        m->at = 0;
        if (!items_each(w->f->results[i], name, true, add_row, w, e))
            return false;
        if (m->at != m->rows)
            return error_set(e, ERR_FAILED, "%s: %s: expected %zu rows, got %zu", w->f->results[i],
                             name, m->rows, m->at);
    }
    return true;
}

/* --- recall --------------------------------------------------------------------------------------- */

static bool add_direction(const char *prefix, const Recall *r, Metrics *out, Error *e)
{
    static const char *const NAMES[] = {"r1", "r5", "r10", "r_mean"};
    const double values[] = {r->r1, r->r5, r->r10, r->mean};
    for (size_t i = 0; i < 4; i++) {
        char name[16];
        memcpy(name, prefix, 4);
        strcpy(name + 4, NAMES[i]);
        if (!metrics_add(out, "", name, values[i], e))
            return false;
    }
    return true;
}

static Recall recall_to_text(const Work *w, size_t *ranks, size_t *good)
{
    for (size_t i = 0; i < w->images; i++) {
        size_t count = w->first_text[i + 1] - w->first_text[i];
        for (size_t k = 0; k < count; k++)
            good[k] = w->first_text[i] + k;
        ranks[i] = recall_rank(w->to_text.cells + i * w->texts, w->texts, good, count);
    }
    return recall_of(ranks, w->images);
}

static Recall recall_to_image(const Work *w, size_t *ranks)
{
    for (size_t t = 0; t < w->texts; t++)
        ranks[t] = recall_rank(w->to_image.cells + t * w->images, w->images, &w->image_of[t], 1);
    return recall_of(ranks, w->texts);
}

static bool add_recall(const Work *w, Metrics *out, Error *e)
{
    size_t *ranks =
        mem_alloc(2 * w->texts * sizeof *ranks); /* there are at least as many texts as pictures */
    if (!ranks)
        return error_memory(e, "ranks", w->texts * sizeof *ranks);
    Recall txt = recall_to_text(w, ranks, ranks + w->texts), img = recall_to_image(w, ranks);
    bool ok = add_direction("txt_", &txt, out, e) && add_direction("img_", &img, out, e) &&
              metrics_add(out, "", "r_mean", (txt.mean + img.mean) / 2, e) &&
              metrics_add(out, "", "agg_metrics", txt.mean, e);
    mem_free(ranks);
    return ok;
}

bool score_retrieval(const ScoreFiles *f, Metrics *out, Error *e)
{
    Work w = {.f = f};
    bool ok = items_each(f->truth, NULL, true, add_picture, &w, e) &&
              (w.images > 0 ||
               error_set(e, ERR_FAILED, "%s: pictures: expected some, got none", f->truth));
    ok = ok && allocate(&w.to_text, w.images, w.texts, e) &&
         read_matrix(&w, &w.to_text, "score_i2t", e) &&
         allocate(&w.to_image, w.texts, w.images, e) &&
         read_matrix(&w, &w.to_image, "score_t2i", e) && add_recall(&w, out, e);
    mem_free(w.image_of);
    mem_free(w.first_text);
    mem_free(w.to_text.cells);
    mem_free(w.to_image.cells);
    return ok;
}
