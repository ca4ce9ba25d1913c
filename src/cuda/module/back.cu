/* cuda/module/back.cu: the other backward functions. They add to gradients and skip those that are NULL.
 *
 * A number that many rows add to (a gamma, a row of a table) belongs to one thread, which goes through the rows in
 * their order: no atomic additions, the same bits every time. */
#include "cuda/module/common.cuh"
#include "cuda/module/norm.cuh"
#include "tensor/cubic.h"

enum { COLUMN_THREADS = 128 };

#define COLUMN ((int)(blockIdx.x * blockDim.x + threadIdx.x))

static unsigned column_blocks(int cols)
{
    return (unsigned)((cols + COLUMN_THREADS - 1) / COLUMN_THREADS);
}

/* --- norms ---------------------------------------------------------------------------------------------------- */

typedef struct NormBack {
    const float *x, *dy, *gamma;
    float *dx, *dgamma, *dbeta;
    float *kept; /* of each row: mean, off, rstd; or its factor */
    int ldx, ldy, rows, cols;
    float eps;
} NormBack;

/* With g = dy gamma and z the normalised row: dx += (g - mean(g) - z mean(g z)) rstd */
__global__ static void layernorm_rows(const NormBack p)
{
    const float *x = row_at(p.x, ROW, p.ldx), *dy = row_at(p.dy, ROW, p.ldy);
    Moments m = row_moments(x, p.cols, p.eps);
    float sum = 0, with_z = 0;
    EACH_COLUMN(c, p.cols)
    {
        float g = dy[c] * p.gamma[c];
        sum += g;
        with_z = fmaf(g, normed(x[c], m), with_z);
    }
    float mean = block_sum(sum) / (float)p.cols, mean_z = block_sum(with_z) / (float)p.cols;
    if (p.dx) {
        float *dx = row_at(p.dx, ROW, p.ldx);
        EACH_COLUMN(c, p.cols)
        {
            float e = dy[c] * p.gamma[c] - mean - normed(x[c], m) * mean_z;
            dx[c] = fmaf(e, m.rstd, dx[c]);
        }
    }
    if (threadIdx.x == 0) {
        float *kept = p.kept + (size_t)ROW * 3;
        kept[0] = m.mean, kept[1] = m.off, kept[2] = m.rstd;
    }
}

__global__ static void layernorm_columns(const NormBack p)
{
    int c = COLUMN;
    float gamma = 0, beta = 0;
    for (int r = 0; c < p.cols && r < p.rows; r++) {
        const float *kept = p.kept + (size_t)r * 3;
        Moments m = {kept[0], kept[1], kept[2]};
        float dy = row_at(p.dy, r, p.ldy)[c];
        gamma = fmaf(dy, normed(row_at(p.x, r, p.ldx)[c], m), gamma);
        beta += dy;
    }
    if (c < p.cols && p.dgamma)
        p.dgamma[c] += gamma;
    if (c < p.cols && p.dbeta)
        p.dbeta[c] += beta;
}

static NormBack norm_back(Stream *on, const Tensor *y, const Tensor *x, float eps)
{
    NormBack p = {};
    p.x = f32(x), p.ldx = x->ld, p.dx = x->grad;
    p.dy = y->grad, p.ldy = y->ld;
    p.rows = x->rows, p.cols = x->cols, p.eps = eps;
    p.kept = (float *)cuda_scratch(on, SCRATCH_ROWS, sizeof(float) * 3 * (size_t)x->rows);
    if (!p.kept)
        cuda_note(on, cudaErrorMemoryAllocation, "norm: scratch");
    return p;
}

static void layernorm_back(Stream *on, const Tensor *y, const Tensor *x, const Param *gamma,
                           const Param *beta, float eps)
{
    NormBack p = norm_back(on, y, x, eps);
    if (!p.kept || x->rows == 0)
        return;
    p.gamma = (const float *)gamma->data;
    p.dgamma = gamma->grad, p.dbeta = beta->grad;
    LAUNCH(on, layernorm_rows, (unsigned)x->rows, row_threads(x->cols), 0, p);
    if (p.dgamma || p.dbeta)
        LAUNCH(on, layernorm_columns, column_blocks(x->cols), COLUMN_THREADS, 0, p);
}

/* With z = x factor and g = dy gamma (gamma NULL: dy): dx += (g - z share sum(g z)) factor, where factor depends on x;
 * share 0: where it does not. */
__global__ static void scaled_rows(const NormBack p)
{
    const float *x = row_at(p.x, ROW, p.ldx), *dy = row_at(p.dy, ROW, p.ldy);
    float length = p.gamma ? 0 : row_length(x, p.cols, p.eps);
    float factor = p.gamma ? row_rrms(x, p.cols, p.eps) : 1.0f / length;
    float share = p.gamma ? 1.0f / (float)p.cols : length > p.eps ? 1.0f : 0.0f, with_z = 0;
    EACH_COLUMN(c, p.cols)
    with_z = fmaf(p.gamma ? dy[c] * p.gamma[c] : dy[c], x[c] * factor, with_z);
    float mean = block_sum(with_z) * share;
    if (p.dx) {
        float *dx = row_at(p.dx, ROW, p.ldx);
        EACH_COLUMN(c, p.cols)
        {
            float g = p.gamma ? dy[c] * p.gamma[c] : dy[c];
            dx[c] = fmaf(g - x[c] * factor * mean, factor, dx[c]);
        }
    }
    if (threadIdx.x == 0)
        p.kept[(size_t)ROW * 3] = factor;
}

__global__ static void rmsnorm_columns(const NormBack p)
{
    int c = COLUMN;
    float gamma = 0;
    for (int r = 0; c < p.cols && r < p.rows; r++)
        gamma = fmaf(row_at(p.dy, r, p.ldy)[c], row_at(p.x, r, p.ldx)[c] * p.kept[(size_t)r * 3],
                     gamma);
    if (c < p.cols)
        p.dgamma[c] += gamma;
}

static void rmsnorm_back(Stream *on, const Tensor *y, const Tensor *x, const Param *gamma,
                         float eps)
{
    NormBack p = norm_back(on, y, x, eps);
    if (!p.kept || x->rows == 0)
        return;
    p.gamma = (const float *)gamma->data;
    p.dgamma = gamma->grad;
    LAUNCH(on, scaled_rows, (unsigned)x->rows, row_threads(x->cols), 0, p);
    if (p.dgamma)
        LAUNCH(on, rmsnorm_columns, column_blocks(x->cols), COLUMN_THREADS, 0, p);
}

static void l2norm_back(Stream *on, const Tensor *y, const Tensor *x, float least)
{
    NormBack p = norm_back(on, y, x, least);
    if (p.kept && p.dx && x->rows)
        LAUNCH(on, scaled_rows, (unsigned)x->rows, row_threads(x->cols), 0, p);
}

/* --- tables ----------------------------------------------------------------------------------------------------- */

__global__ static void embed_columns(float *table, const float *dy, int ld, int rows, int cols,
                                     const int *ids)
{
    int c = COLUMN;
    for (int r = 0; c < cols && r < rows; r++)
        table[(size_t)ids[r] * (size_t)cols + (size_t)c] += row_at(dy, r, ld)[c];
}

static void embed_back(Stream *on, const Tensor *y, const Param *table, const int *ids)
{
    if (table->grad)
        LAUNCH(on, embed_columns, column_blocks(table->cols), COLUMN_THREADS, 0, table->grad,
               y->grad, y->ld, y->rows, table->cols, ids);
}

typedef struct GatherBack {
    const float *dy;
    float *da, *db;
    const int *from;
    int ldy, lda, ldb, rows_a, rows, cols;
} GatherBack;

__global__ static void gather_columns(const GatherBack p)
{
    int c = COLUMN;
    for (int r = 0; c < p.cols && r < p.rows; r++) {
        bool first = p.from[r] < p.rows_a;
        float *to = first ? p.da : p.db;
        if (to)
            row_at(to, first ? p.from[r] : p.from[r] - p.rows_a, first ? p.lda : p.ldb)[c] +=
                row_at(p.dy, r, p.ldy)[c];
    }
}

static void gather_rows_back(Stream *on, const Tensor *y, const Tensor *a, const Tensor *b,
                             const int *from)
{
    GatherBack p = {y->grad, a->grad, b ? b->grad : NULL, from,
                    y->ld,   a->ld,   b ? b->ld : 0,      a->rows,
                    y->rows, y->cols};
    if (p.da || p.db)
        LAUNCH(on, gather_columns, column_blocks(y->cols), COLUMN_THREADS, 0, p);
}

__global__ static void resize_columns(float *dx, int ldx, const float *dy, int ldy, int cols,
                                      int grid, int gh, int gw, bool corners)
{
    int c = COLUMN;
    if (c >= cols)
        return;
    dx[c] += dy[c];
    for (int i = 0; i < gh * gw; i++) {
        GridTaps t = grid_taps(i, grid, gh, gw, corners);
        for (int j = 0; j < 16; j++) {
            float *to = row_at(dx, t.row[j], ldx) + c;
            *to = fmaf(row_at(dy, 1 + i, ldy)[c], t.weight[j], *to);
        }
    }
}

static void resize_grid_back(Stream *on, const Tensor *y, const Tensor *x, int grid, int gh, int gw,
                             bool corners)
{
    if (x->grad)
        LAUNCH(on, resize_columns, column_blocks(x->cols), COLUMN_THREADS, 0, x->grad, x->ld,
               y->grad, y->ld, x->cols, grid, gh, gw, corners);
}

/* --- by element --------------------------------------------------------------------------------------------------- */

/* The derivative of act at x. */
__device__ static float act_slope(float x, int act)
{
    if (act == ACT_GELU)
        return fmaf(x, 0.398942280f * expf(-0.5f * x * x), normcdff(x));
    if (act == ACT_QUICK_GELU) {
        float u = 1.702f * x, s = sigmoid(u);
        return s * fmaf(u, 1.0f - s, 1.0f);
    }
    if (act == ACT_GELU_TANH) {
        float xx = x * x, s = sigmoid(1.59576912f * fmaf(0.044715f * xx, x, x));
        float slope = 1.59576912f * fmaf(3 * 0.044715f, xx, 1.0f);
        return s * fmaf(x * (1.0f - s), slope, 1.0f);
    }
    return 1.0f;
}

__global__ static void activate_rows(float *dx, const float *x, int ldx, const float *dy, int ldy,
                                     int cols, int act)
{
    EACH_COLUMN(c, cols)
    {
        float at = row_at(x, ROW, ldx)[c], g = row_at(dy, ROW, ldy)[c],
              *to = row_at(dx, ROW, ldx) + c;
        if (act == ACT_RELU && at <= 0)
            g = 0;
        *to = fmaf(g, act_slope(at, act), *to);
    }
}

static void activate_back(Stream *on, const Tensor *y, const Tensor *x, Act act)
{
    if (x->grad && x->rows)
        LAUNCH(on, activate_rows, (unsigned)x->rows, row_threads(x->cols), 0, x->grad, f32(x),
               x->ld, y->grad, y->ld, x->cols, (int)act);
}

typedef struct MultiplyBack {
    const float *dy, *a, *b;
    float *da, *db;
    int ldy, lda, ldb, cols;
} MultiplyBack;

__global__ static void multiply_rows(const MultiplyBack p)
{
    EACH_COLUMN(c, p.cols)
    {
        float g = row_at(p.dy, ROW, p.ldy)[c];
        if (p.da) {
            float *to = row_at(p.da, ROW, p.lda) + c;
            *to = fmaf(g, row_at(p.b, ROW, p.ldb)[c], *to);
        }
        if (p.db) {
            float *to = row_at(p.db, ROW, p.ldb) + c;
            *to = fmaf(g, row_at(p.a, ROW, p.lda)[c], *to);
        }
    }
}

static void multiply_back(Stream *on, const Tensor *y, const Tensor *a, const Tensor *b)
{
    MultiplyBack p = {y->grad, f32(a), f32(b), a->grad, b->grad, y->ld, a->ld, b->ld, y->cols};
    if (y->rows)
        LAUNCH(on, multiply_rows, (unsigned)y->rows, row_threads(y->cols), 0, p);
}

__global__ static void accumulate_rows(float *to, int ldto, const float *from, int ldfrom, int cols,
                                       int group, float factor)
{
    EACH_COLUMN(c, cols)
    {
        float *at = row_at(to, ROW, ldto) + c;
        *at = fmaf(row_at(from, ROW / group, ldfrom)[c], factor, *at);
    }
}

static void accumulate(Stream *on, float *to, int ldto, const float *from, int ldfrom, int rows,
                       int cols, float factor)
{
    if (rows)
        LAUNCH(on, accumulate_rows, (unsigned)rows, row_threads(cols), 0, to, ldto, from, ldfrom,
               cols, 1, factor);
}

static void mean_rows_back(Stream *on, const Tensor *y, const Tensor *x, int group)
{
    if (x->grad && x->rows)
        LAUNCH(on, accumulate_rows, (unsigned)x->rows, row_threads(x->cols), 0, x->grad, x->ld,
               y->grad, y->ld, x->cols, group, 1.0f / (float)group);
}

/* --- loss ------------------------------------------------------------------------------------------------------------ */

__global__ static void loss_rows(float *dx, int ldx, const float *p, int ldp, int rows, int cols,
                                 const float *dloss, const int *targets)
{
    int valid = 0, target = targets[ROW];
    for (int r = (int)threadIdx.x; r < rows; r += (int)blockDim.x)
        valid += targets[r] >= 0;
    valid = block_sum(valid);
    if (target < 0)
        return;
    float factor = *dloss / (float)valid;
    EACH_COLUMN(c, cols)
    {
        float *to = row_at(dx, ROW, ldx) + c;
        float x = fmaf(row_at(p, ROW, ldp)[c], factor, *to);
        *to = c == target ? x - factor : x;
    }
}

static void softmax_loss_back(Stream *on, const Tensor *loss, const Tensor *logits,
                              const Tensor *probs, const int *targets)
{
    if (logits->grad && logits->rows)
        LAUNCH(on, loss_rows, (unsigned)logits->rows, row_threads(logits->cols), 0, logits->grad,
               logits->ld, f32(probs), probs->ld, logits->rows, logits->cols, loss->grad, targets);
}

extern "C" void cuda_install_back(Backend *b)
{
    b->layernorm_back = layernorm_back;
    b->rmsnorm_back = rmsnorm_back;
    b->l2norm_back = l2norm_back;
    b->multiply_back = multiply_back;
    b->mean_rows_back = mean_rows_back;
    b->embed_back = embed_back;
    b->activate_back = activate_back;
    b->gather_rows_back = gather_rows_back;
    b->resize_grid_back = resize_grid_back;
    b->accumulate = accumulate;
    b->softmax_loss_back = softmax_loss_back;
}
