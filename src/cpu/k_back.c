/* cpu/k_back.c: the backward functions. They add to gradients and skip those that are NULL.
 *
 * Work is split over elements of the result, and the sums that lead to one have a fixed order, so
 * the gradients have the same bits for any number of threads. */
#include "cpu/activation.h"
#include "cpu/kernels.h"
#include "cpu/rows.h"
#include "cpu/softmax.h"
#include "tensor/cubic.h"

#define KC     TILE_K /* terms of a sum that stay in registers */
#define GROUP  8      /* panels of B that one packed tile of A meets */
#define COLUMN 64     /* floats of a row that one job takes where jobs are columns */

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

/* --- linear ------------------------------------------------------------------------------------ */

/* C[m,n] += A[m,k] B[k,n], blocked as in Goto & van de Geijn (2008): B in panels of W columns and
 * KC rows, A in tiles. Each element grows by one partial sum per KC terms. */
typedef struct Product {
    int m, n, k;
    const float *a;
    size_t lda;
    bool a_transposed; /* a is stored as [k,m] */
    const void *b;     /* of type bt, rows ldb elements apart, any alignment */
    size_t ldb;
    DType bt;
    const float *b_scale; /* I8: one factor per row of b */
    float *c;
    size_t ldc;
} Product;

static void pack_b(float *to, const Product *p, int k0, int kc, int col)
{
    size_t size = dtype_size(p->bt), at = ((size_t)k0 * p->ldb + (size_t)col) * size;
    panel_pack(p->bt, to, (const char *)p->b + at, p->ldb * size, kc, p->n - col,
               p->b_scale ? p->b_scale + k0 : NULL);
}

static void pack_a(float *to, const Product *p, int row, int mr, int k0, int kc)
{
    if (p->a_transposed)
        tile_pack_t(to, p->a + (size_t)k0 * p->lda + row, p->lda, mr, kc);
    else
        tile_pack(to, p->a + (size_t)row * p->lda + k0, p->lda, mr, kc, 1.0f);
}

/* Panels first..first+n of C, terms k0..k0+kc. memory: n panels of KC rows, two tiles. */
static void product_group(const Product *p, int first, int n, int k0, int kc, float *memory)
{
    float *b = memory, *a = b + (size_t)GROUP * KC * W, *c = a + TILE;
    for (int j = 0; j < n; j++)
        pack_b(b + (size_t)j * KC * W, p, k0, kc, (first + j) * W);
    for (int row = 0; row < p->m; row += MR) {
        int mr = least_of(p->m - row, MR);
        pack_a(a, p, row, mr, k0, kc);
        for (int j = 0; j < n; j++) {
            int col = (first + j) * W, cols = least_of(p->n - col, W);
            tile_product(mr, cols, a, 0, kc, b + (size_t)j * KC * W, c, TILE_SET);
            for (int i = 0; i < mr; i++)
                tile_row_add(p->c + (size_t)(row + i) * p->ldc + col, c + i * TILE_LD, cols, 1.0f);
        }
    }
}

typedef struct Groups {
    const Product *p;
    int size; /* panels of a job */
    float *memory;
    size_t each; /* floats per thread */
} Groups;

static void product_part(const void *args, Part *part)
{
    const Groups *g = args;
    const Product *p = g->p;
    for (int job; (job = part_next(part)) >= 0;) {
        int first = job * g->size, n = least_of(g->size, panels(p->n) - first);
        for (int k = 0; k < p->k; k += KC)
            product_group(p, first, n, k, least_of(KC, p->k - k),
                          g->memory + (size_t)part->thread * g->each);
    }
}

static bool product_add(Stream *on, const Product *p)
{
    int all = panels(p->n), threads = team_for(on, all, p->m, p->n, p->k);
    int group = least_of((all + threads - 1) / threads, GROUP);
    size_t each = (size_t)GROUP * KC * W + 2 * TILE;
    float *memory = cpu_scratch(on, SCRATCH_BACK, (size_t)threads * each * sizeof(float));
    if (!memory)
        return false;
    run_parts(on, threads, group > 0 ? (all + group - 1) / group : 0, 1, product_part,
              &(Groups){p, group, memory, each});
    return true;
}

/* Columns from .. from + n of t: what job i takes where jobs are columns. */
typedef struct Columns {
    int from, n;
} Columns;

static Columns columns_of(const Tensor *t, int i)
{
    return (Columns){i * COLUMN, least_of(t->cols - i * COLUMN, COLUMN)};
}

static void each_columns(Stream *on, const Tensor *t, EachFn fn, const void *args)
{
    run_each(on, team_of(on, t), (t->cols + COLUMN - 1) / COLUMN, fn, args);
}

typedef struct RowSum {
    float *sum;
    const Tensor *t;
} RowSum;

/* sum[i] += the sum over the rows of t's gradient at some columns, KC rows at a time */
static void add_rows(const void *args, int job)
{
    const RowSum *c = args;
    const Tensor *t = c->t;
    float *sum = c->sum;
    Columns at = columns_of(t, job);
    int from = at.from, n = at.n;
    for (int r0 = 0; r0 < t->rows; r0 += KC)
        for (int i = 0; i < n; i += VL) {
            vf s = vf_zero();
            for (int r = r0; r < least_of(t->rows, r0 + KC); r++)
                s += load_at(row_grad(t, r) + from, n, i);
            store_at(sum + from, load_at(sum + from, n, i) + s, n, i);
        }
}

static bool linear_back(Stream *on, const LinearArgs *l)
{
    const Tensor *x = l->x, *y = l->y;
    const Param *w = l->w;
    size_t in = (size_t)w->cols, ldy = (size_t)y->ld;
    Product dx = {y->rows, w->cols, w->rows,  y->grad,  ldy,     false,
                  w->data, in,      w->dtype, w->scale, x->grad, (size_t)x->ld};
    Product dw = {w->rows, w->cols,       y->rows, y->grad, ldy,     true,
                  x->data, (size_t)x->ld, F32,     NULL,    w->grad, in};
    if (x->grad && !product_add(on, &dx))
        return false;
    if (w->grad && !product_add(on, &dw))
        return false;
    if (l->b && l->b->grad)
        each_columns(on, y, add_rows, &(RowSum){l->b->grad, y});
    return true;
}

/* --- layernorm --------------------------------------------------------------------------------- */

/* With g = dy gamma and z the normalised row: dx += (g - mean(g) - z mean(g z)) rstd */
static void norm_row_back(float *dx, const float *dy, const float *x, int n, const void *gamma,
                          const Moments *m)
{
    vf sum = vf_zero(), with_z = vf_zero();
    for (int i = 0; i < n; i += VL) {
        vf g = load_at(dy, n, i) * param_at(gamma, n, i);
        sum += g;
        with_z = vf_fma(g, fill_from(normed_at(x, n, i, m), n, i, 0), with_z);
    }
    vf mean = vf_set1(vf_hsum(sum) / (float)n), mean_z = vf_set1(vf_hsum(with_z) / (float)n);
    vf rstd = vf_set1(m->rstd);
    for (int i = 0; i < n; i += VL) {
        vf g = load_at(dy, n, i) * param_at(gamma, n, i);
        vf e = g - mean - normed_at(x, n, i, m) * mean_z;
        store_at(dx, vf_fma(e, rstd, load_at(dx, n, i)), n, i);
    }
}

/* Some rows of a normalisation. */
typedef struct NormBack {
    const Tensor *y, *x;
    const Param *gamma;
    Moments *m; /* of each row */
    float eps;
} NormBack;

static void norm_back(const void *args, int r)
{
    const NormBack *b = args;
    const Tensor *x = b->x;
    b->m[r] = row_moments(row_f32(x, r), x->cols, b->eps);
    if (x->grad)
        norm_row_back(row_grad(x, r), row_grad(b->y, r), row_f32(x, r), x->cols, b->gamma->data,
                      &b->m[r]);
}

/* dgamma += sum of dy z over the rows, some columns */
static void add_gamma(const void *args, int job)
{
    const NormBack *b = args;
    const Tensor *x = b->x, *y = b->y;
    const Moments *m = b->m;
    float *dgamma = b->gamma->grad;
    Columns at = columns_of(x, job);
    int from = at.from, n = at.n;
    for (int i = 0; i < n; i += VL) {
        vf s = vf_zero();
        for (int r = 0; r < x->rows; r++)
            s = vf_fma(load_at(row_grad(y, r) + from, n, i),
                       normed_at(row_f32(x, r) + from, n, i, &m[r]), s);
        store_at(dgamma + from, load_at(dgamma + from, n, i) + s, n, i);
    }
}

static Tensor some_rows(const Tensor *t, int from, int n)
{
    Tensor s = *t;
    s.rows = n;
    s.data = row_f32(t, from);
    s.grad = t->grad ? row_grad(t, from) : NULL;
    return s;
}

static void layernorm_back(Stream *on, const Tensor *y, const Tensor *x, const Param *gamma,
                           const Param *beta, float eps)
{
    Moments m[KC];
    for (int from = 0; from < x->rows; from += KC) {
        int rows = least_of(KC, x->rows - from);
        Tensor xs = some_rows(x, from, rows), ys = some_rows(y, from, rows);
        NormBack back = {&ys, &xs, gamma, m, eps};
        each_row(on, &xs, norm_back, &back);
        if (gamma->grad)
            each_columns(on, &xs, add_gamma, &back);
        if (beta->grad)
            each_columns(on, &xs, add_rows, &(RowSum){beta->grad, &ys});
    }
}

/* --- rmsnorm, l2norm ----------------------------------------------------------------------------- */

/* With z = x factor and g = dy gamma (gamma NULL: dy): dx += (g - z share sum(g z)) factor, where factor
 * depends on x; share 0: where it does not. */
static void scaled_row_back(float *dx, const float *dy, const float *x, int n, const void *gamma,
                            float factor, float share)
{
    vf with_z = vf_zero(), f = vf_set1(factor);
    for (int i = 0; i < n; i += VL) {
        vf g = gamma ? load_at(dy, n, i) * param_at(gamma, n, i) : load_at(dy, n, i);
        with_z = vf_fma(g, load_at(x, n, i) * f, with_z);
    }
    vf mean = vf_set1(vf_hsum(with_z) * share);
    for (int i = 0; i < n; i += VL) {
        vf g = gamma ? load_at(dy, n, i) * param_at(gamma, n, i) : load_at(dy, n, i);
        store_at(dx, vf_fma(g - load_at(x, n, i) * f * mean, f, load_at(dx, n, i)), n, i);
    }
}

/* Some rows of an rmsnorm. */
typedef struct RmsBack {
    const Tensor *y, *x;
    const Param *gamma;
    float *factor; /* of each row */
    float eps;
} RmsBack;

static void rms_back(const void *args, int r)
{
    const RmsBack *b = args;
    const Tensor *x = b->x;
    b->factor[r] = row_rrms(row_f32(x, r), x->cols, b->eps);
    if (x->grad)
        scaled_row_back(row_grad(x, r), row_grad(b->y, r), row_f32(x, r), x->cols, b->gamma->data,
                        b->factor[r], 1.0f / (float)x->cols);
}

static void add_rms_gamma(const void *args, int job)
{
    const RmsBack *b = args;
    float *dgamma = b->gamma->grad;
    Columns at = columns_of(b->x, job);
    int from = at.from, n = at.n;
    for (int i = 0; i < n; i += VL) {
        vf s = vf_zero();
        for (int r = 0; r < b->x->rows; r++)
            s = vf_fma(load_at(row_grad(b->y, r) + from, n, i),
                       load_at(row_f32(b->x, r) + from, n, i) * vf_set1(b->factor[r]), s);
        store_at(dgamma + from, load_at(dgamma + from, n, i) + s, n, i);
    }
}

static void rmsnorm_back(Stream *on, const Tensor *y, const Tensor *x, const Param *gamma,
                         float eps)
{
    float factor[KC];
    for (int from = 0; from < x->rows; from += KC) {
        int rows = least_of(KC, x->rows - from);
        Tensor xs = some_rows(x, from, rows), ys = some_rows(y, from, rows);
        RmsBack back = {&ys, &xs, gamma, factor, eps};
        each_row(on, &xs, rms_back, &back);
        if (gamma->grad)
            each_columns(on, &xs, add_rms_gamma, &back);
    }
}

static void l2_back(const void *args, int r)
{
    const RmsBack *b = args;
    const Tensor *x = b->x;
    float length = row_length(row_f32(x, r), x->cols, b->eps);
    scaled_row_back(row_grad(x, r), row_grad(b->y, r), row_f32(x, r), x->cols, NULL, 1.0f / length,
                    length > b->eps ? 1 : 0);
}

static void l2norm_back(Stream *on, const Tensor *y, const Tensor *x, float least)
{
    if (x->grad)
        each_row(on, x, l2_back, &(RmsBack){.y = y, .x = x, .eps = least});
}

/* --- attention --------------------------------------------------------------------------------- */

/* One head of one group, in two sweeps, each of which recomputes what it needs of the scores (Dao
 * 2023, FlashAttention-2, section 3.1.2). With P the softmax, dP = dO V^T, dS = P (dP - sum P dP):
 *     queries in blocks: dQ += scale dS K, dbias += dS at its distance, and the row's max, sum and
 *     sum P dP are kept;
 *     keys in blocks, everything transposed: dV += P^T dO, dK += scale dS^T Q. */
typedef struct Head {
    const AttentionArgs *a;
    int q, nq, k, nk; /* the group's rows; beforehand nq and nk are those of the longest groups */
    int hd, head;
    float *kt, *vt, *k_rows;         /* panels: K and V as columns, K as rows */
    float *qt, *dot, *q_rows, *dout; /* panels: scaled Q and dO as columns, Q and dO as rows */
    float *x, *dx;                   /* tiles of the block: queries and dO, or keys and values */
    float *p, *dp;                   /* tiles: scores or P, dP or dS */
    float *out;                      /* a tile */
    float *max, *inverse, *delta;    /* of each query; inverse of the sum */
    float *bias, *mirror, *dbias; /* the head's, the same backwards, its gradient over all groups */
} Head;

/* Cuts memory into the parts of h; returns the floats that this takes. */
static size_t head_memory(Head *h, float *memory)
{
    size_t hd = (size_t)h->hd, nq = (size_t)h->nq, nk = (size_t)h->nk;
    size_t pq = (size_t)panels(h->nq) * W, pk = (size_t)panels(h->nk) * W;
    size_t pd = (size_t)panels(h->hd) * W;
    size_t x = (size_t)tiles(h->hd) * TILE, p = (size_t)tiles(h->nq > h->nk ? h->nq : h->nk) * TILE;
    /* W more than there are: vectors end where they may, and nobody looks at what they take along */
    size_t b = h->a->bias ? (size_t)(panels(h->a->bias->rows) + 1) * W : 0;
    float **part[] = {&h->kt,   &h->vt,      &h->k_rows, &h->qt,   &h->dot,    &h->q_rows,
                      &h->dout, &h->x,       &h->dx,     &h->p,    &h->dp,     &h->out,
                      &h->max,  &h->inverse, &h->delta,  &h->bias, &h->mirror, &h->dbias};
    size_t size[] = {pk * hd, pk * hd, pd * nk, pq * hd, pq * hd, pd * nq, pd * nq, x, x,
                     p,       p,       TILE,    pq,      pq,      pq,      b,       b, b};
    size_t used = 0;
    for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
        if (memory)
            *part[i] = memory + used;
        used += size[i];
    }
    return used;
}

/* This head's columns of row r of t. */
static float *head_row(const Head *h, const Tensor *t, int r)
{
    return row_f32(t, r) + h->head * h->hd;
}

static float *head_grad(const Head *h, const Tensor *t, int r)
{
    return row_grad(t, r) + h->head * h->hd;
}

static void pack_group(const Head *h)
{
    const Tensor *q = h->a->q, *k = h->a->k, *v = h->a->v, *o = h->a->out;
    panel_columns(h->kt, head_row(h, k, h->k), (size_t)k->ld, h->nk, h->hd);
    panel_columns(h->vt, head_row(h, v, h->k), (size_t)v->ld, h->nk, h->hd);
    panel_rows(h->k_rows, head_row(h, k, h->k), (size_t)k->ld, h->nk, h->hd);
    panel_columns(h->qt, head_row(h, q, h->q), (size_t)q->ld, h->nq, h->hd);
    vf scale = vf_set1(h->a->scale);
    for (size_t i = 0; i < (size_t)panels(h->nq) * W * (size_t)h->hd; i += VL)
        vf_storeu(h->qt + i, vf_loadu(h->qt + i) * scale);
    panel_columns(h->dot, head_grad(h, o, h->q), (size_t)o->ld, h->nq, h->hd);
    panel_rows(h->q_rows, head_row(h, q, h->q), (size_t)q->ld, h->nq, h->hd);
    panel_rows(h->dout, head_grad(h, o, h->q), (size_t)o->ld, h->nq, h->hd);
}

/* Where the bias of key 0 stands for query 0; a key further on is one further, a query one before. */
static int bias_start(const Head *h)
{
    return h->a->bias->rows / 2 - (h->nk - h->nq);
}

static void pack_bias(const Head *h)
{
    const Tensor *bias = h->a->bias;
    for (int i = 0, n = bias ? bias->rows : 0; i < n; i++) {
        h->bias[i] = h->mirror[n - 1 - i] = row_f32(bias, i)[h->head];
        h->dbias[i] = 0;
    }
}

static void add_dbias(const Head *h)
{
    const Tensor *bias = h->a->bias;
    for (int i = 0; bias && bias->grad && i < bias->rows; i++)
        row_grad(bias, i)[h->head] += h->dbias[i];
}

/* From the panel of column j0 on: p = x * xt, dp = dx * dxt for columns up to n. */
static void score_block(const Head *h, int mr, const float *xt, const float *dxt, int j0, int n)
{
    for (int j = j0 / W * W; j < n; j += W) {
        size_t panel = (size_t)j * (size_t)h->hd;
        tile_product(mr, n - j, h->x, 0, h->hd, xt + panel, h->p + tile_at(j), TILE_SET);
        tile_product(mr, n - j, h->dx, 0, h->hd, dxt + panel, h->dp + tile_at(j), TILE_SET);
    }
}

/* p[j] += bias[j] in tiles, j from `from` to n, and the rest of the last vector */
static void add_bias(float *p, const float *bias, int from, int n)
{
    for (int j = from; j < n; j += VL)
        vf_storeu(p + tile_at(j), vf_loadu(p + tile_at(j)) + vf_loadu(bias + j));
}

/* sum[j] += ds[j] in tiles, j < n */
static void sum_dbias(float *sum, const float *ds, int n)
{
    for (int j = 0; j < n; j += VL)
        store_at(sum, load_at(sum, n, j) + vf_loadu(ds + tile_at(j)), n, j);
}

/* Row i of a block of queries: scores to P, dP to dS; keeps what the second sweep needs. */
static void query_row(const Head *h, int i, int query, int seen)
{
    float *p = h->p + i * TILE_LD, *dp = h->dp + i * TILE_LD;
    if (h->a->bias)
        add_bias(p, h->bias + bias_start(h) - query, 0, seen);
    SoftmaxRow s = softmax_exp_tiles(p, seen);
    vf inverse = vf_set1(1.0f / s.sum), sum = vf_zero();
    for (int j = seen; j < panels(seen) * W; j++)
        dp[tile_at(j)] = 0;
    for (int j = 0; j < seen; j += VL) {
        int at = tile_at(j);
        vf_storeu(p + at, vf_loadu(p + at) * inverse);
        sum = vf_fma(vf_loadu(p + at), vf_loadu(dp + at), sum);
    }
    vf delta = vf_set1(vf_hsum(sum));
    for (int j = 0; j < seen; j += VL) {
        int at = tile_at(j);
        vf_storeu(dp + at, vf_loadu(p + at) * (vf_loadu(dp + at) - delta));
    }
    if (h->a->bias && h->a->bias->grad)
        sum_dbias(h->dbias + bias_start(h) - query, dp, seen);
    h->max[query] = s.max;
    h->inverse[query] = 1.0f / s.sum;
    h->delta[query] = delta[0];
}

static void query_block(const Head *h, int query, int mr)
{
    const AttentionArgs *a = h->a;
    int least = a->causal ? query + 1 + h->nk - h->nq : h->nk, step = a->causal;
    tile_pack(h->x, head_row(h, a->q, h->q + query), (size_t)a->q->ld, mr, h->hd, a->scale);
    tile_pack(h->dx, head_grad(h, a->out, h->q + query), (size_t)a->out->ld, mr, h->hd, 1.0f);
    score_block(h, mr, h->kt, h->vt, 0, least + step * (mr - 1));
    for (int i = 0; i < mr; i++)
        query_row(h, i, query + i, least + step * i);
    for (int c = 0; a->q->grad && c < h->hd; c += W) {
        int cols = least_of(h->hd - c, W);
        tile_product_to(mr, cols, h->dp, least, step, h->k_rows + (size_t)c * (size_t)h->nk,
                        h->out);
        for (int i = 0; i < mr; i++)
            tile_row_add(head_grad(h, a->q, h->q + query + i) + c, h->out + i * TILE_LD, cols,
                         a->scale);
    }
}

/* Row i of a block of keys: transposed scores to P^T, dP^T to dS^T, for the queries from `first`. */
static void key_row(const Head *h, int i, int key, int first)
{
    if (h->a->bias)
        add_bias(h->p + i * TILE_LD, h->mirror + h->a->bias->rows - 1 - bias_start(h) - key,
                 first / W * W, h->nq);
    for (int j = first / W * W; j < h->nq; j += VL) {
        float *p = h->p + tile_at(j) + i * TILE_LD, *dp = h->dp + (p - h->p);
        vf e = vf_exp(vf_loadu(p) - vf_loadu(h->max + j)) * vf_loadu(h->inverse + j);
        vf_storeu(p, e);
        vf_storeu(dp, e * (vf_loadu(dp) - vf_loadu(h->delta + j)));
    }
}

/* grad rows of a block of keys += factor * (p^T rows); row i begins at query first + step * i */
static void add_to_keys(const Head *h, const Tensor *t, int key, int mr, const float *p,
                        const float *rows, const int *first, float factor)
{
    int last = first[mr - 1];
    for (int c = 0; t->grad && c < h->hd; c += W) {
        int cols = least_of(h->hd - c, W);
        const float *panel = rows + (size_t)c * (size_t)h->nq;
        for (int i = 0; i < mr; i++)
            tile_product(1, cols, p + i * TILE_LD, first[i], last, panel, h->out + i * TILE_LD,
                         TILE_SET);
        tile_product(mr, cols, p, last, h->nq, panel, h->out, TILE_RESUME);
        for (int i = 0; i < mr; i++)
            tile_row_add(head_grad(h, t, h->k + key + i) + c, h->out + i * TILE_LD, cols, factor);
    }
}

static void key_block(const Head *h, int key, int mr)
{
    const AttentionArgs *a = h->a;
    int first[MR]; /* the first query that sees key + i */
    for (int i = 0; i < mr; i++) {
        int query = key + i - (h->nk - h->nq);
        first[i] = a->causal && query > 0 ? query : 0;
    }
    tile_pack(h->x, head_row(h, a->k, h->k + key), (size_t)a->k->ld, mr, h->hd, 1.0f);
    tile_pack(h->dx, head_row(h, a->v, h->k + key), (size_t)a->v->ld, mr, h->hd, 1.0f);
    score_block(h, mr, h->qt, h->dot, first[0], h->nq);
    for (int i = 0; i < mr; i++)
        key_row(h, i, key + i, first[0]);
    add_to_keys(h, a->v, key, mr, h->p, h->dout, first, 1.0f);
    add_to_keys(h, a->k, key, mr, h->dp, h->q_rows, first, a->scale);
}

static void group_back(Head *h)
{
    pack_group(h);
    for (int i = 0; i < h->nq; i += MR)
        query_block(h, i, least_of(h->nq - i, MR));
    for (int i = 0; (h->a->k->grad || h->a->v->grad) && i < h->nk; i += MR)
        key_block(h, i, least_of(h->nk - i, MR));
}

/* What groups share, keys or a bias, gets the sum over them in their order: then a job is a head of all
 * groups, else of one. */
typedef struct Heads {
    const Head *size; /* without memory */
    float *memory;    /* `each` floats per thread */
    size_t each;
    int groups; /* of a job */
} Heads;

static void set_group(Head *h, const Head *size, int group)
{
    const AttnSpan *s = h->a->span ? &h->a->span[group] : NULL;
    h->q = s ? s->q : group * size->nq;
    h->nq = s ? s->nq : size->nq;
    h->k = s ? s->k : group * size->nk;
    h->nk = s ? s->nk : size->nk;
}

static void heads_back(const void *args, Part *part)
{
    const Heads *c = args;
    Head h = *c->size;
    head_memory(&h, c->memory + (size_t)part->thread * c->each);
    for (int job; (job = part_next(part)) >= 0;) {
        int first = job / h.a->heads * c->groups;
        h.head = job % h.a->heads;
        pack_bias(&h);
        for (int group = first; group < first + c->groups; group++) {
            set_group(&h, c->size, group);
            group_back(&h);
        }
        add_dbias(&h);
    }
}

static bool attention_back(Stream *on, const AttentionArgs *a)
{
    Head size = {.a = a,
                 .nq = a->span ? a->most_q : a->q->rows / a->groups,
                 .nk = a->span ? a->most_k : a->k->rows / a->groups,
                 .hd = a->q->cols / a->heads};
    int groups = a->span || a->bias ? a->groups : 1, jobs = a->groups / groups * a->heads;
    int threads = team_for(on, jobs, a->q->rows, size.nk, 5 * a->q->cols);
    size_t each = head_memory(&size, NULL);
    float *memory = cpu_scratch(on, SCRATCH_BACK, (size_t)threads * each * sizeof(float));
    if (!memory)
        return false;
    run_parts(on, threads, jobs, 1, heads_back, &(Heads){&size, memory, each, groups});
    return true;
}

/* --- the rest ---------------------------------------------------------------------------------- */

/* Columns of a table's gradient: rows may name the same id, so a job takes all rows. */
typedef struct Embedded {
    const Tensor *y;
    const Param *table;
    const int *ids;
} Embedded;

static void add_ids(const void *args, int job)
{
    const Embedded *c = args;
    const Tensor *y = c->y;
    Columns at = columns_of(y, job);
    int from = at.from, n = at.n;
    for (int r = 0; r < y->rows; r++) {
        float *to = c->table->grad + (size_t)c->ids[r] * (size_t)c->table->cols + from;
        for (int i = 0; i < n; i += VL)
            store_at(to, load_at(to, n, i) + load_at(row_grad(y, r) + from, n, i), n, i);
    }
}

static void embed_back(Stream *on, const Tensor *y, const Param *table, const int *ids)
{
    if (table->grad)
        each_columns(on, y, add_ids, &(Embedded){y, table, ids});
}

static void add_scaled(float *to, const float *from, int n, float factor)
{
    vf f = vf_set1(factor);
    for (int i = 0; i < n; i += VL)
        store_at(to, vf_fma(load_at(from, n, i), f, load_at(to, n, i)), n, i);
}

/* Columns of what rows were gathered from, the rows of y in their order. */
typedef struct Gathered {
    const Tensor *y, *a, *b;
    const int *from;
} Gathered;

static void add_gathered(const void *args, int job)
{
    const Gathered *c = args;
    Columns at = columns_of(c->y, job);
    for (int r = 0; r < c->y->rows; r++) {
        bool first = c->from[r] < c->a->rows;
        int row = first ? c->from[r] : c->from[r] - c->a->rows;
        const Tensor *x = first ? c->a : c->b; /* these two may be the same */
        if (x->grad)
            add_scaled(row_grad(x, row) + at.from, row_grad(c->y, r) + at.from, at.n, 1);
    }
}

static void gather_rows_back(Stream *on, const Tensor *y, const Tensor *a, const Tensor *b,
                             const int *from)
{
    if (a->grad || (b && b->grad))
        each_columns(on, y, add_gathered, &(Gathered){y, a, b, from});
}

/* Columns of the table's gradient: neighbouring positions share rows, so a job takes all of them. */
typedef struct Resized {
    const Tensor *y, *x;
    int grid, gh, gw;
    bool corners;
} Resized;

static void add_resized(const void *args, int job)
{
    const Resized *c = args;
    Columns at = columns_of(c->y, job);
    int col = at.from, n = at.n;
    add_scaled(row_grad(c->x, 0) + col, row_grad(c->y, 0) + col, n, 1);
    for (int i = 0; i < c->gh * c->gw; i++) {
        GridTaps t = grid_taps(i, c->grid, c->gh, c->gw, c->corners);
        for (int j = 0; j < 16; j++)
            add_scaled(row_grad(c->x, t.row[j]) + col, row_grad(c->y, 1 + i) + col, n, t.weight[j]);
    }
}

static void resize_grid_back(Stream *on, const Tensor *y, const Tensor *x, int grid, int gh, int gw,
                             bool corners)
{
    if (x->grad)
        each_columns(on, y, add_resized, &(Resized){y, x, grid, gh, gw, corners});
}

/* The derivative of act at x. */
VEC_INLINE vf act_slope(vf x, Act act)
{
    const vf one = vf_set1(1.0f);
    if (act == ACT_GELU) {
        vf density = vf_set1(0.398942280f) * vf_exp(vf_set1(-0.5f) * x * x);
        return vf_fma(x, density, act_normal_cdf(x));
    }
    if (act == ACT_QUICK_GELU) {
        vf u = vf_set1(1.702f) * x, s = vf_sigmoid(u);
        return s * vf_fma(u, one - s, one);
    }
    if (act == ACT_GELU_TANH) { /* x s(2u): s + x s (1 - s) 2u' */
        vf xx = x * x, s = vf_sigmoid(vf_set1(1.59576912f) * vf_fma(vf_set1(0.044715f) * xx, x, x));
        vf slope = vf_set1(1.59576912f) * vf_fma(vf_set1(3 * 0.044715f), xx, one);
        return s * vf_fma(x * (one - s), slope, one);
    }
    return one;
}

VEC_INLINE void act_row_back_of(float *dx, const float *dy, const float *x, int n, const Act act)
{
    for (int i = 0; i < n; i += VL) {
        vf g = load_at(dy, n, i), at = load_at(x, n, i);
        if (act == ACT_RELU)
            g = vf_select(at <= vf_zero(), vf_zero(), g);
        store_at(dx, vf_fma(g, act_slope(at, act), load_at(dx, n, i)), n, i);
    }
}

static void act_row_back(float *dx, const float *dy, const float *x, int n, Act act)
{
    switch (act) {
    case ACT_GELU: act_row_back_of(dx, dy, x, n, ACT_GELU); break;
    case ACT_RELU: act_row_back_of(dx, dy, x, n, ACT_RELU); break;
    case ACT_QUICK_GELU: act_row_back_of(dx, dy, x, n, ACT_QUICK_GELU); break;
    case ACT_GELU_TANH: act_row_back_of(dx, dy, x, n, ACT_GELU_TANH); break;
    default: act_row_back_of(dx, dy, x, n, ACT_NONE); break;
    }
}

typedef struct Activated {
    const Tensor *y, *x;
    Act act;
} Activated;

static void act_back(const void *args, int r)
{
    const Activated *c = args;
    act_row_back(row_grad(c->x, r), row_grad(c->y, r), row_f32(c->x, r), c->x->cols, c->act);
}

static void activate_back(Stream *on, const Tensor *y, const Tensor *x, Act act)
{
    if (x->grad)
        each_row(on, x, act_back, &(Activated){y, x, act});
}

typedef struct Factors {
    const Tensor *y, *a, *b;
} Factors;

static void add_product(float *to, const float *dy, const float *with, int n)
{
    for (int i = 0; i < n; i += VL)
        store_at(to, vf_fma(load_at(dy, n, i), load_at(with, n, i), load_at(to, n, i)), n, i);
}

static void multiply_row_back(const void *args, int r)
{
    const Factors *c = args;
    const float *dy = row_grad(c->y, r);
    if (c->a->grad)
        add_product(row_grad(c->a, r), dy, row_f32(c->b, r), c->y->cols);
    if (c->b->grad)
        add_product(row_grad(c->b, r), dy, row_f32(c->a, r), c->y->cols);
}

static void multiply_back(Stream *on, const Tensor *y, const Tensor *a, const Tensor *b)
{
    each_row(on, y, multiply_row_back, &(Factors){y, a, b});
}

typedef struct MeanBack {
    const Tensor *y, *x;
    int group;
} MeanBack;

static void mean_row_back(const void *args, int r)
{
    const MeanBack *c = args;
    add_scaled(row_grad(c->x, r), row_grad(c->y, r / c->group), c->x->cols, 1.0f / (float)c->group);
}

static void mean_rows_back(Stream *on, const Tensor *y, const Tensor *x, int group)
{
    if (x->grad)
        each_row(on, x, mean_row_back, &(MeanBack){y, x, group});
}

typedef struct Sum {
    float *to;
    const float *from;
    size_t ldto, ldfrom;
    int cols;
    float factor;
} Sum;

static void accumulate_row(const void *args, int r)
{
    const Sum *s = args;
    add_scaled(s->to + (size_t)r * s->ldto, s->from + (size_t)r * s->ldfrom, s->cols, s->factor);
}

static void accumulate(Stream *on, float *to, int ldto, const float *from, int ldfrom, int rows,
                       int cols, float factor)
{
    Tensor shape = {.rows = rows, .cols = cols};
    each_row(on, &shape, accumulate_row,
             &(Sum){to, from, (size_t)ldto, (size_t)ldfrom, cols, factor});
}

typedef struct LossBack {
    const Tensor *logits, *probs;
    const int *targets;
    float factor;
} LossBack;

static void loss_row_back(const void *args, int r)
{
    const LossBack *b = args;
    if (b->targets[r] < 0)
        return;
    add_scaled(row_grad(b->logits, r), row_f32(b->probs, r), b->logits->cols, b->factor);
    row_grad(b->logits, r)[b->targets[r]] -= b->factor;
}

static void softmax_loss_back(Stream *on, const Tensor *loss, const Tensor *logits,
                              const Tensor *probs, const int *targets)
{
    int valid = 0;
    for (int r = 0; r < logits->rows; r++)
        valid += targets[r] >= 0;
    if (valid == 0 || !logits->grad)
        return;
    float factor = *loss->grad / (float)valid;
    each_row(on, logits, loss_row_back, &(LossBack){logits, probs, targets, factor});
}

void ISA_SYM(install_back)(Backend *b)
{
    b->linear_back = linear_back;
    b->layernorm_back = layernorm_back;
    b->rmsnorm_back = rmsnorm_back;
    b->l2norm_back = l2norm_back;
    b->multiply_back = multiply_back;
    b->mean_rows_back = mean_rows_back;
    b->attention_back = attention_back;
    b->embed_back = embed_back;
    b->activate_back = activate_back;
    b->gather_rows_back = gather_rows_back;
    b->resize_grid_back = resize_grid_back;
    b->accumulate = accumulate;
    b->softmax_loss_back = softmax_loss_back;
}
