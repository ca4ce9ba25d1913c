/* cpu/k_rows.c: what works row by row: norms, tables, activations, copies, the loss.
 *
 * A row is computed by one thread from start to end, so its bits depend on nothing else. */
#include "cpu/activation.h"
#include "cpu/kernels.h"
#include "cpu/rows.h"
#include "tensor/cubic.h"

/* --- layernorm --------------------------------------------------------------------------------- */

/* (x - mean) / sqrt(var + eps) * gamma + beta (Ba et al. 2016; torch.nn.LayerNorm) */
typedef struct Norm {
    Tensor *y;
    const Tensor *x;
    const void *gamma, *beta;
    float eps;
} Norm;

static void norm_row(const void *args, int r)
{
    const Norm *c = args;
    const float *x = row_f32(c->x, r);
    int n = c->x->cols;
    Moments m = row_moments(x, n, c->eps);
    for (int i = 0; i < n; i += VL)
        store_at(row_f32(c->y, r),
                 vf_fma(normed_at(x, n, i, &m), param_at(c->gamma, n, i), param_at(c->beta, n, i)),
                 n, i);
}

static void layernorm(Stream *on, Tensor *y, const Tensor *x, const Param *gamma, const Param *beta,
                      float eps)
{
    each_row(on, x, norm_row, &(Norm){y, x, gamma->data, beta->data, eps});
}

/* --- rmsnorm, l2norm ----------------------------------------------------------------------------- */

/* x * factor(x) * gamma, a row at a time. Zhang and Sennrich 2019; transformers T5LayerNorm, which does not
 * take the mean off. */
static void rms_row(const void *args, int r)
{
    const Norm *c = args;
    const float *x = row_f32(c->x, r);
    int n = c->x->cols;
    vf factor = vf_set1(row_rrms(x, n, c->eps));
    for (int i = 0; i < n; i += VL)
        store_at(row_f32(c->y, r), load_at(x, n, i) * factor * param_at(c->gamma, n, i), n, i);
}

static void rmsnorm(Stream *on, Tensor *y, const Tensor *x, const Param *gamma, float eps)
{
    each_row(on, x, rms_row, &(Norm){.y = y, .x = x, .gamma = gamma->data, .eps = eps});
}

static void l2_row(const void *args, int r)
{
    const Norm *c = args;
    const float *x = row_f32(c->x, r);
    int n = c->x->cols;
    vf factor = vf_set1(1.0f / row_length(x, n, c->eps));
    for (int i = 0; i < n; i += VL)
        store_at(row_f32(c->y, r), load_at(x, n, i) * factor, n, i);
}

static void l2norm(Stream *on, Tensor *y, const Tensor *x, float least)
{
    each_row(on, x, l2_row, &(Norm){.y = y, .x = x, .eps = least});
}

/* --- tables, elementwise, copies ------------------------------------------------------------------ */

typedef struct Embed {
    Tensor *y;
    const Param *table;
    const int *ids;
} Embed;

static void embed_row(const void *args, int r)
{
    const Embed *c = args;
    size_t cols = (size_t)c->table->cols, bytes = cols * dtype_size(c->table->dtype);
    convert_to_f32(row_f32(c->y, r), (const char *)c->table->data + (size_t)c->ids[r] * bytes,
                   c->table->dtype, cols);
}

static void embed(Stream *on, Tensor *y, const Param *table, const int *ids)
{
    each_row(on, y, embed_row, &(Embed){y, table, ids});
}

/* What a function of one or two tensors was called with. */
typedef struct Pointwise {
    Tensor *y;
    const Tensor *a, *b;
    Act act;
} Pointwise;

static void activate_row(const void *args, int r)
{
    const Pointwise *c = args;
    act_row(row_f32(c->y, r), row_f32(c->a, r), c->a->cols, c->act);
}

static void activate(Stream *on, Tensor *y, const Tensor *x, Act act)
{
    each_row(on, x, activate_row, &(Pointwise){.y = y, .a = x, .act = act});
}

static void add_row(const void *args, int r)
{
    const Pointwise *c = args;
    const float *a = row_f32(c->a, r), *b = row_f32(c->b, r);
    float *y = row_f32(c->y, r);
    for (int i = 0, n = c->y->cols; i < n; i += VL)
        store_at(y, load_at(a, n, i) + load_at(b, n, i), n, i);
}

static void add(Stream *on, Tensor *y, const Tensor *a, const Tensor *b)
{
    each_row(on, y, add_row, &(Pointwise){.y = y, .a = a, .b = b});
}

static void multiply_row(const void *args, int r)
{
    const Pointwise *c = args;
    const float *a = row_f32(c->a, r), *b = row_f32(c->b, r);
    float *y = row_f32(c->y, r);
    for (int i = 0, n = c->y->cols; i < n; i += VL)
        store_at(y, load_at(a, n, i) * load_at(b, n, i), n, i);
}

static void multiply(Stream *on, Tensor *y, const Tensor *a, const Tensor *b)
{
    each_row(on, y, multiply_row, &(Pointwise){.y = y, .a = a, .b = b});
}

typedef struct Mean {
    Tensor *y;
    const Tensor *x;
    int group;
} Mean;

static void mean_row(const void *args, int r)
{
    const Mean *c = args;
    vf factor = vf_set1(1.0f / (float)c->group);
    for (int i = 0, n = c->x->cols; i < n; i += VL) {
        vf sum = vf_zero();
        for (int j = 0; j < c->group; j++)
            sum += load_at(row_f32(c->x, r * c->group + j), n, i);
        store_at(row_f32(c->y, r), sum * factor, n, i);
    }
}

static void mean_rows(Stream *on, Tensor *y, const Tensor *x, int group)
{
    run_each(on, team_of(on, x), y->rows, mean_row, &(Mean){y, x, group});
}

static void copy_row(const void *args, int r)
{
    const Pointwise *c = args;
    memmove(row_f32(c->y, r), row_f32(c->a, r), (size_t)c->a->cols * sizeof(float));
}

static void copy(Stream *on, Tensor *y, const Tensor *x)
{
    each_row(on, x, copy_row, &(Pointwise){.y = y, .a = x});
}

typedef struct Gather {
    Tensor *y;
    const Tensor *a, *b;
    const int *from;
} Gather;

static void gather_row(const void *args, int r)
{
    const Gather *c = args;
    int from = c->from[r], second = from - c->a->rows;
    memcpy(row_f32(c->y, r), second < 0 ? row_f32(c->a, from) : row_f32(c->b, second),
           (size_t)c->y->cols * sizeof(float));
}

static void gather_rows(Stream *on, Tensor *y, const Tensor *a, const Tensor *b, const int *from)
{
    each_row(on, y, gather_row, &(Gather){y, a, b, from});
}

typedef struct Resize {
    Tensor *y;
    const Tensor *x;
    int grid, gh, gw;
    bool corners;
} Resize;

/* y = the weighted sum of the taps' rows, in their order. */
static void resize_row(const void *args, int r)
{
    const Resize *c = args;
    const Tensor *x = c->x;
    GridTaps t = grid_taps(r, c->grid, c->gh, c->gw, c->corners);
    for (int i = 0; i < x->cols; i += VL) {
        vf sum = vf_zero();
        for (int j = 0; j < 16; j++)
            sum = vf_fma(load_at(row_f32(x, t.row[j]), x->cols, i), vf_set1(t.weight[j]), sum);
        store_at(row_f32(c->y, 1 + r), sum, x->cols, i);
    }
}

static void resize_grid(Stream *on, Tensor *y, const Tensor *x, int grid, int gh, int gw,
                        bool corners)
{
    memcpy(row_f32(y, 0), row_f32(x, 0), (size_t)x->cols * sizeof(float));
    run_each(on, team_of(on, y), gh * gw, resize_row, &(Resize){y, x, grid, gh, gw, corners});
}

/* One patch: 3 planes of height x width, p x p of each. */
static void unfold_patch(float *to, const float *px, int height, int width, int p)
{
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < p; i++, to += p)
            memcpy(to, px + ((size_t)c * (size_t)height + (size_t)i) * (size_t)width,
                   (size_t)p * sizeof(float));
}

typedef struct Unfold {
    Tensor *y;
    const Tensor *px;
    int height, width, patch;
} Unfold;

static void unfold_row(const void *args, int r)
{
    const Unfold *c = args;
    int gw = c->width / c->patch, each = c->height / c->patch * gw;
    const float *at = row_f32(c->px, r / each) +
                      (size_t)(r % each / gw * c->patch) * (size_t)c->width + r % gw * c->patch;
    unfold_patch(row_f32(c->y, r), at, c->height, c->width, c->patch);
}

static void unfold(Stream *on, Tensor *y, const Tensor *px, int height, int width, int patch)
{
    each_row(on, y, unfold_row, &(Unfold){y, px, height, width, patch});
}

typedef struct Store {
    SlotBlock dst;
    const Tensor *x;
    const int *slots;
} Store;

static void store_row(const void *args, int r)
{
    const Store *c = args;
    size_t n = (size_t)c->x->cols;
    memcpy((float *)c->dst.data + (size_t)c->slots[r] * n, row_f32(c->x, r), n * sizeof(float));
}

static void store_slots(Stream *on, SlotBlock dst, const Tensor *x, const int *slots)
{
    each_row(on, x, store_row, &(Store){dst, x, slots});
}

/* --- loss -------------------------------------------------------------------------------------- */

/* p = e^(x - max); returns the sum */
static float row_exp(float *p, const float *x, int n, float max)
{
    vf m = vf_set1(max), s[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    int i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL)
        for (int j = 0; j < 4; j++) {
            vf e = vf_exp(vf_loadu(x + i + j * VL) - m);
            s[j] += e;
            vf_storeu(p + i + j * VL, e);
        }
    for (; i < n; i += VL) {
        vf e = fill_from(vf_exp(load_at(x, n, i) - m), n, i, 0);
        s[0] += e;
        store_at(p, e, n, i);
    }
    return vf_hsum((s[0] + s[1]) + (s[2] + s[3]));
}

typedef struct Loss {
    const Tensor *probs, *logits;
    const int *targets;
    int from;     /* the first row of this batch */
    double *each; /* of its rows */
} Loss;

/* p = softmax(x), and -log p[target], or 0 without a target */
static void loss_row(const void *args, int row)
{
    const Loss *c = args;
    int r = c->from + row, n = c->logits->cols, target = c->targets[r];
    const float *x = row_f32(c->logits, r);
    float *p = row_f32(c->probs, r);
    float max = row_max(x, n);
    double at = target >= 0 ? x[target] : 0; /* p may be x */
    float sum = row_exp(p, x, n, max);
    vf factor = vf_recip(vf_set1(sum));
    for (int i = 0; i < n; i += VL)
        store_at(p, load_at(p, n, i) * factor, n, i);
    c->each[row] = target >= 0 ? log((double)sum) + (double)max - at : 0;
}

/* torch.nn.functional.cross_entropy(ignore_index < 0): NaN when no row has a target. The rows'
 * losses are added in their order. */
static void softmax_loss(Stream *on, Tensor *loss, Tensor *probs, const Tensor *logits,
                         const int *targets)
{
    enum { BATCH = 256 };
    double each[BATCH], sum = 0;
    long valid = 0;
    for (int from = 0; from < logits->rows; from += BATCH) {
        int n = logits->rows - from < BATCH ? logits->rows - from : BATCH;
        Tensor part = {.rows = n, .cols = logits->cols};
        each_row(on, &part, loss_row, &(Loss){probs, logits, targets, from, each});
        for (int r = 0; r < n; r++) {
            sum += each[r];
            valid += targets[from + r] >= 0;
        }
    }
    *f32(loss) = (float)(sum / (double)valid);
}

void ISA_SYM(install_rows)(Backend *b)
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
