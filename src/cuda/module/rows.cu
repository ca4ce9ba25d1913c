/* cuda/module/rows.cu: what works row by row: norms, tables, activations, copies, the loss.
 *
 * A row is one block, whose threads are as many as its columns ask for: its bits depend on nothing else. */
#include "cuda/module/common.cuh"
#include "cuda/module/norm.cuh"
#include "tensor/cubic.h"

static int threads_of(const Tensor *t)
{
    return row_threads(t->cols);
}

/* --- norms ---------------------------------------------------------------------------------------------- */

__global__ static void layernorm_kernel(float *y, int ldy, const float *x, int ldx,
                                        const float *gamma, const float *beta, int cols, float eps)
{
    x = row_at(x, ROW, ldx), y = row_at(y, ROW, ldy);
    Moments m = row_moments(x, cols, eps);
    EACH_COLUMN(c, cols) y[c] = fmaf(normed(x[c], m), gamma[c], beta[c]);
}

static void layernorm(Stream *on, Tensor *y, const Tensor *x, const Param *gamma, const Param *beta,
                      float eps)
{
    if (x->rows)
        LAUNCH(on, layernorm_kernel, (unsigned)x->rows, threads_of(x), 0, f32(y), y->ld, f32(x),
               x->ld, (const float *)gamma->data, (const float *)beta->data, x->cols, eps);
}

/* gamma NULL: l2norm, eps is the least length. */
__global__ static void scale_kernel(float *y, int ldy, const float *x, int ldx, const float *gamma,
                                    int cols, float eps)
{
    x = row_at(x, ROW, ldx), y = row_at(y, ROW, ldy);
    float factor = gamma ? row_rrms(x, cols, eps) : 1.0f / row_length(x, cols, eps);
    EACH_COLUMN(c, cols) y[c] = gamma ? x[c] * factor * gamma[c] : x[c] * factor;
}

static void rmsnorm(Stream *on, Tensor *y, const Tensor *x, const Param *gamma, float eps)
{
    if (x->rows)
        LAUNCH(on, scale_kernel, (unsigned)x->rows, threads_of(x), 0, f32(y), y->ld, f32(x), x->ld,
               (const float *)gamma->data, x->cols, eps);
}

static void l2norm(Stream *on, Tensor *y, const Tensor *x, float least)
{
    if (x->rows)
        LAUNCH(on, scale_kernel, (unsigned)x->rows, threads_of(x), 0, f32(y), y->ld, f32(x), x->ld,
               (const float *)NULL, x->cols, least);
}

/* --- tables, elementwise, copies --------------------------------------------------------------------------- */

template <class W>
__global__ static void embed_kernel(float *y, int ldy, const W *table, int cols, const int *ids)
{
    const W *from = table + (size_t)ids[ROW] * (size_t)cols;
    EACH_COLUMN(c, cols) row_at(y, ROW, ldy)[c] = wide(from[c]);
}

static void embed(Stream *on, Tensor *y, const Param *table, const int *ids)
{
    unsigned rows = (unsigned)y->rows;
    int threads = threads_of(y), cols = table->cols;
    if (y->rows == 0)
        return;
    switch (table->dtype) {
    case BF16:
        LAUNCH(on, embed_kernel<__nv_bfloat16>, rows, threads, 0, f32(y), y->ld,
               (const __nv_bfloat16 *)table->data, cols, ids);
        break;
    case F16:
        LAUNCH(on, embed_kernel<__half>, rows, threads, 0, f32(y), y->ld,
               (const __half *)table->data, cols, ids);
        break;
    case F32:
        LAUNCH(on, embed_kernel<float>, rows, threads, 0, f32(y), y->ld, (const float *)table->data,
               cols, ids);
        break;
    default: BUG("embed: table type");
    }
}

__global__ static void activate_kernel(float *y, int ldy, const float *x, int ldx, int cols,
                                       int act)
{
    EACH_COLUMN(c, cols) row_at(y, ROW, ldy)[c] = act_apply(row_at(x, ROW, ldx)[c], act);
}

static void activate(Stream *on, Tensor *y, const Tensor *x, Act act)
{
    if (x->rows)
        LAUNCH(on, activate_kernel, (unsigned)x->rows, threads_of(x), 0, f32(y), y->ld, f32(x),
               x->ld, x->cols, (int)act);
}

typedef struct Pairwise {
    float *y;
    const float *a, *b;
    int ldy, lda, ldb, cols;
} Pairwise;

__global__ static void add_kernel(const Pairwise p)
{
    EACH_COLUMN(c, p.cols)
    row_at(p.y, ROW, p.ldy)[c] = row_at(p.a, ROW, p.lda)[c] + row_at(p.b, ROW, p.ldb)[c];
}

__global__ static void multiply_kernel(const Pairwise p)
{
    EACH_COLUMN(c, p.cols)
    row_at(p.y, ROW, p.ldy)[c] = row_at(p.a, ROW, p.lda)[c] * row_at(p.b, ROW, p.ldb)[c];
}

static Pairwise pairwise(Tensor *y, const Tensor *a, const Tensor *b)
{
    return Pairwise{f32(y), f32(a), f32(b), y->ld, a->ld, b->ld, y->cols};
}

static void add(Stream *on, Tensor *y, const Tensor *a, const Tensor *b)
{
    if (y->rows)
        LAUNCH(on, add_kernel, (unsigned)y->rows, threads_of(y), 0, pairwise(y, a, b));
}

static void multiply(Stream *on, Tensor *y, const Tensor *a, const Tensor *b)
{
    if (y->rows)
        LAUNCH(on, multiply_kernel, (unsigned)y->rows, threads_of(y), 0, pairwise(y, a, b));
}

__global__ static void mean_kernel(float *y, int ldy, const float *x, int ldx, int cols, int group)
{
    EACH_COLUMN(c, cols)
    {
        float sum = 0;
        for (int j = 0; j < group; j++)
            sum += row_at(x, ROW * group + j, ldx)[c];
        row_at(y, ROW, ldy)[c] = sum * (1.0f / (float)group);
    }
}

static void mean_rows(Stream *on, Tensor *y, const Tensor *x, int group)
{
    if (y->rows)
        LAUNCH(on, mean_kernel, (unsigned)y->rows, threads_of(x), 0, f32(y), y->ld, f32(x), x->ld,
               x->cols, group);
}

__global__ static void copy_kernel(float *y, int ldy, const float *x, int ldx, int cols)
{
    EACH_COLUMN(c, cols) row_at(y, ROW, ldy)[c] = row_at(x, ROW, ldx)[c];
}

static void copy(Stream *on, Tensor *y, const Tensor *x)
{
    if (x->rows)
        LAUNCH(on, copy_kernel, (unsigned)x->rows, threads_of(x), 0, f32(y), y->ld, f32(x), x->ld,
               x->cols);
}

typedef struct Gather {
    float *y;
    const float *a, *b;
    const int *from;
    int ldy, lda, ldb, rows_a, cols;
} Gather;

__global__ static void gather_kernel(const Gather p)
{
    int from = p.from[ROW];
    const float *x =
        from < p.rows_a ? row_at(p.a, from, p.lda) : row_at(p.b, from - p.rows_a, p.ldb);
    EACH_COLUMN(c, p.cols) row_at(p.y, ROW, p.ldy)[c] = x[c];
}

static void gather_rows(Stream *on, Tensor *y, const Tensor *a, const Tensor *b, const int *from)
{
    Gather p = {f32(y), f32(a),        b ? f32(b) : NULL, from,   y->ld,
                a->ld,  b ? b->ld : 0, a->rows,           y->cols};
    if (y->rows)
        LAUNCH(on, gather_kernel, (unsigned)y->rows, threads_of(y), 0, p);
}

__global__ static void unfold_kernel(float *y, int ldy, const float *px, int ldx, int height,
                                     int width, int p)
{
    int gw = width / p, each = height / p * gw, at = ROW % each;
    const float *from =
        row_at(px, ROW / each, ldx) + (size_t)(at / gw * p) * (size_t)width + (size_t)(at % gw * p);
    EACH_COLUMN(c, 3 * p * p)
    {
        int plane = c / (p * p), row = c / p % p, col = c % p;
        row_at(y, ROW, ldy)[c] =
            from[((size_t)plane * (size_t)height + (size_t)row) * (size_t)width + (size_t)col];
    }
}

static void unfold(Stream *on, Tensor *y, const Tensor *px, int height, int width, int patch)
{
    if (y->rows)
        LAUNCH(on, unfold_kernel, (unsigned)y->rows, threads_of(y), 0, f32(y), y->ld, f32(px),
               px->ld, height, width, patch);
}

__global__ static void resize_kernel(float *y, int ldy, const float *x, int ldx, int cols, int grid,
                                     int gh, int gw, bool corners)
{
    if (ROW == 0) {
        EACH_COLUMN(c, cols) y[c] = x[c];
        return;
    }
    GridTaps t = grid_taps(ROW - 1, grid, gh, gw, corners);
    EACH_COLUMN(c, cols)
    {
        float sum = 0;
        for (int j = 0; j < 16; j++)
            sum = fmaf(row_at(x, t.row[j], ldx)[c], t.weight[j], sum);
        row_at(y, ROW, ldy)[c] = sum;
    }
}

static void resize_grid(Stream *on, Tensor *y, const Tensor *x, int grid, int gh, int gw,
                        bool corners)
{
    LAUNCH(on, resize_kernel, (unsigned)(1 + gh * gw), threads_of(x), 0, f32(y), y->ld, f32(x),
           x->ld, x->cols, grid, gh, gw, corners);
}

__global__ static void store_kernel(float *to, const float *x, int ldx, int cols, const int *slots)
{
    EACH_COLUMN(c, cols) row_at(to, slots[ROW], cols)[c] = row_at(x, ROW, ldx)[c];
}

static void store_slots(Stream *on, SlotBlock dst, const Tensor *x, const int *slots)
{
    if (x->rows)
        LAUNCH(on, store_kernel, (unsigned)x->rows, threads_of(x), 0, (float *)dst.data, f32(x),
               x->ld, x->cols, slots);
}

/* --- loss ------------------------------------------------------------------------------------------------------ */

/* p = softmax(x), and -log p[target], or 0 without a target */
__global__ static void loss_kernel(double *each, float *p, int ldp, const float *x, int ldx,
                                   int cols, const int *targets)
{
    int target = targets[ROW];
    x = row_at(x, ROW, ldx), p = row_at(p, ROW, ldp);
    float max = -INFINITY;
    double at = target >= 0 ? (double)x[target] : 0, sum = 0; /* p may be x */
    EACH_COLUMN(c, cols) max = fmaxf(max, x[c]);
    max = block_max(max);
    EACH_COLUMN(c, cols)
    {
        float e = expf(x[c] - max);
        p[c] = e;
        sum += (double)e;
    }
    sum = block_sum(sum);
    float factor = 1.0f / (float)sum;
    EACH_COLUMN(c, cols) p[c] *= factor;
    if (threadIdx.x == 0)
        each[ROW] = target >= 0 ? log(sum) + (double)max - at : 0;
}

/* The rows' losses, in their order. */
__global__ static void mean_loss_kernel(float *loss, const double *each, const int *targets,
                                        int rows)
{
    double sum = 0;
    long valid = 0;
    for (int r = 0; r < rows; r++) {
        sum += each[r];
        valid += targets[r] >= 0;
    }
    *loss = (float)(sum / (double)valid);
}

static void softmax_loss(Stream *on, Tensor *loss, Tensor *probs, const Tensor *logits,
                         const int *targets)
{
    double *each = (double *)cuda_scratch(on, SCRATCH_ROWS, sizeof(double) * (size_t)logits->rows);
    if (!each)
        return cuda_note(on, cudaErrorMemoryAllocation, "loss");
    if (logits->rows)
        LAUNCH(on, loss_kernel, (unsigned)logits->rows, threads_of(logits), 0, each, f32(probs),
               probs->ld, f32(logits), logits->ld, logits->cols, targets);
    LAUNCH(on, mean_loss_kernel, 1, 1, 0, f32(loss), each, targets, logits->rows);
}

extern "C" void cuda_install_rows(Backend *b)
{
    b->layernorm = layernorm;
    b->rmsnorm = rmsnorm;
    b->l2norm = l2norm;
    b->multiply = multiply;
    b->mean_rows = mean_rows;
    b->embed = embed;
    b->activate = activate;
    b->add = add;
    b->copy = copy;
    b->gather_rows = gather_rows;
    b->resize_grid = resize_grid;
    b->unfold = unfold;
    b->store_slots = store_slots;
    b->softmax_loss = softmax_loss;
}
