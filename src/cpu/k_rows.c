/* cpu/k_rows.c: what works row by row: norms, tables, activations, copies, the loss.
 *
 * A row is computed by one thread from start to end, so its bits depend on nothing else. */
#include "cpu/activation.h"
#include "cpu/cubic.h"
#include "cpu/kernels.h"
#include "cpu/rows.h"

/* --- layernorm --------------------------------------------------------------------------------- */

/* (x - mean) / sqrt(var + eps) * gamma + beta (Ba et al. 2016; torch.nn.LayerNorm) */
static void norm_row(float *y, const float *x, int n, const void *gamma, const void *beta,
                     float eps)
{
    Moments mo = row_moments(x, n, eps);
    for (int i = 0; i < n; i += VL)
        store_at(y, vf_fma(normed_at(x, n, i, &mo), param_at(gamma, n, i), param_at(beta, n, i)), n,
                 i);
}

static void layernorm(Stream *on, Tensor *y, const Tensor *x, const Param *gamma, const Param *beta,
                      float eps)
{
    FOR_ROWS(on, x, r,
             norm_row(row_f32(y, r), row_f32(x, r), x->cols, gamma->data, beta->data, eps))
}

/* --- tables, elementwise, copies ------------------------------------------------------------------ */

static void embed(Stream *on, Tensor *y, const Param *table, const int *ids)
{
    size_t bytes = (size_t)table->cols * dtype_size(table->dtype);
    FOR_ROWS(on, y, r,
             convert_to_f32(row_f32(y, r), (const char *)table->data + (size_t)ids[r] * bytes,
                            table->dtype, (size_t)table->cols))
}

static void activate(Stream *on, Tensor *y, const Tensor *x, Act act)
{
    FOR_ROWS(on, x, r, act_row(row_f32(y, r), row_f32(x, r), x->cols, act))
}

static void add_row(float *y, const float *a, const float *b, int n)
{
    for (int i = 0; i < n; i += VL)
        store_at(y, load_at(a, n, i) + load_at(b, n, i), n, i);
}

static void add(Stream *on, Tensor *y, const Tensor *a, const Tensor *b)
{
    FOR_ROWS(on, y, r, add_row(row_f32(y, r), row_f32(a, r), row_f32(b, r), y->cols))
}

static void copy(Stream *on, Tensor *y, const Tensor *x)
{
    size_t bytes = (size_t)x->cols * sizeof(float);
    FOR_ROWS(on, x, r, memmove(row_f32(y, r), row_f32(x, r), bytes))
}

static void gather_rows(Stream *on, Tensor *y, const Tensor *a, const Tensor *b, const int *from)
{
    size_t bytes = (size_t)y->cols * sizeof(float);
    FOR_ROWS(on, y, r,
             const float *row =
                 from[r] < a->rows ? row_f32(a, from[r]) : row_f32(b, from[r] - a->rows);
             memcpy(row_f32(y, r), row, bytes))
}

/* y = the weighted sum of the taps' rows, in their order. */
static void resize_row(float *y, const Tensor *x, const GridTaps *t)
{
    for (int i = 0; i < x->cols; i += VL) {
        vf sum = vf_zero();
        for (int j = 0; j < 16; j++)
            sum = vf_fma(load_at(row_f32(x, t->row[j]), x->cols, i), vf_set1(t->weight[j]), sum);
        store_at(y, sum, x->cols, i);
    }
}

static void resize_grid(Stream *on, Tensor *y, const Tensor *x, int grid, int gh, int gw)
{
    memcpy(row_f32(y, 0), row_f32(x, 0), (size_t)x->cols * sizeof(float));
    FOR_TEAM(team_of(on, y), i, gh * gw, 1, GridTaps t = grid_taps(i, grid, gh, gw);
             resize_row(row_f32(y, 1 + i), x, &t))
}

/* One patch: 3 planes of height x width, p x p of each. */
static void unfold_patch(float *to, const float *px, int height, int width, int p)
{
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < p; i++, to += p)
            memcpy(to, px + ((size_t)c * (size_t)height + (size_t)i) * (size_t)width,
                   (size_t)p * sizeof(float));
}

static void unfold(Stream *on, Tensor *y, const Tensor *px, int height, int width, int patch)
{
    int gw = width / patch, each = height / patch * gw;
    FOR_ROWS(on, y, r,
             const float *at = row_f32(px, r / each) +
                               (size_t)(r % each / gw * patch) * (size_t)width + r % gw * patch;
             unfold_patch(row_f32(y, r), at, height, width, patch))
}

static void store_slots(Stream *on, SlotBlock dst, const Tensor *x, const int *slots)
{
    size_t n = (size_t)x->cols;
    float *to = dst.data;
    FOR_ROWS(on, x, r, memcpy(to + (size_t)slots[r] * n, row_f32(x, r), n * sizeof(float)))
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

/* p = softmax(x); returns -log p[target], or 0 without a target */
static double row_loss(float *p, const float *x, int n, int target)
{
    float max = row_max(x, n);
    double at = target >= 0 ? x[target] : 0; /* p may be x */
    float sum = row_exp(p, x, n, max);
    vf factor = vf_recip(vf_set1(sum));
    for (int i = 0; i < n; i += VL)
        store_at(p, load_at(p, n, i) * factor, n, i);
    return target >= 0 ? log((double)sum) + (double)max - at : 0;
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
        FOR_ROWS(on, &part, r,
                 each[r] = row_loss(row_f32(probs, from + r), row_f32(logits, from + r),
                                    logits->cols, targets[from + r]))
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
