/* cpu/k_select.c: what selection needs of a row of logits: its log-probabilities, its best ids.
 *
 * expf is the C library's and the sum runs in double over four lanes, columns j, j + 4, j + 8.., each
 * in ascending order: scores are compared with the reference's, and near ties decide ids. */
#include "base/top.h"
#include "cpu/kernels.h"
#include "cpu/rows.h"

enum { LANES = 4 };

/* log(sum(e^(x - max))); NaN when the row is no row of numbers. */
static float log_sum_of(const float *x, int n, float max)
{
    double sum[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            sum[j] += (double)expf(x[i + j] - max);
    for (; i < n; i++)
        sum[0] += (double)expf(x[i] - max);
    double all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    return isfinite(all) && isfinite(max) ? (float)log(all) : NAN;
}

typedef struct Pair {
    Tensor *y;
    const Tensor *x;
} Pair;

static void log_softmax_row(const void *args, int r)
{
    const Pair *p = args;
    float *y = row_f32(p->y, r);
    const float *x = row_f32(p->x, r);
    int n = p->x->cols;
    float row_highest = row_max(x, n);
    vf max = vf_set1(row_highest), log_sum = vf_set1(log_sum_of(x, n, row_highest));
    for (int i = 0; i < n; i += VL)
        store_at(y, load_at(x, n, i) - max - log_sum, n, i);
}

/* Rows are few, and waking threads for one takes longer than it saves. */
static int row_team(const Stream *on, const Tensor *t)
{
    int team = team_of(on, t);
    return t->rows < team ? t->rows : team;
}

static void log_softmax(Stream *on, Tensor *y, const Tensor *x)
{
    run_each(on, row_team(on, x), x->rows, log_softmax_row, &(Pair){y, x});
}

/* Penalties divide what is positive and multiply what is not, so both shrink. */
static void change_ids(float *v, const TopKRow *want, const int *ids)
{
    for (int i = 0; i < want->penalised; i++, ids++)
        v[*ids] = v[*ids] < 0 ? v[*ids] * want->penalty : v[*ids] / want->penalty;
    for (int i = 0; i < want->forbidden; i++, ids++)
        v[*ids] = -INFINITY;
}

/* The highest of the SPAN columns from i on, or of what is left. */
enum { SPAN = 8 * VL };
static float span_max(const float *v, int n, int i)
{
    vf m = vf_set1(-INFINITY);
    if (n - i < SPAN)
        return row_max(v + i, n - i);
    for (int j = 0; j < SPAN; j += VL)
        m = vf_max(m, vf_loadu(v + i + j));
    return vf_hmax(m);
}

/* Few spans hold anything better than the worst of the best k, and adding is monotone: the others are
 * passed over whole. */
static void find_best(Top *top, const float *v, int n, float add)
{
    for (int from = 0; from < n; from += SPAN) {
        float least = top->n < top->room ? -INFINITY : top->cand[0].score;
        if (!(span_max(v, n, from) + add > least))
            continue;
        for (int i = from; i < n && i < from + SPAN; i++) {
            float total = v[i] + add;
            least = top->n < top->room ? -INFINITY : top->cand[0].score;
            if (total > least)
                top_push(top, (Cand){(double)total, total, i});
        }
    }
    top_sort(top);
}

static int top_row(const TopKArgs *a, int r, Cand *cand)
{
    const TopKRow *want = &a->row[r];
    const float *logprob = row_f32(a->logprobs, r);
    float *v = row_f32(want->logits ? a->logits : a->logprobs, r);
    Top top = {cand, 0, want->k};
    if (isnan(logprob[0]))
        return -1;
    change_ids(v, want, a->ids + want->first);
    if (want->k == 0)
        return 0;
    find_best(&top, v, a->logits->cols, want->add);
    TopEntry *out = a->out + (size_t)r * (size_t)a->stride;
    for (int i = 0; i < top.n; i++)
        out[i] = (TopEntry){logprob[cand[i].index], cand[i].index};
    return top.n;
}

typedef struct TopK {
    const TopKArgs *a;
    Cand *cand; /* a->stride per row */
} TopK;

static void top_k_row(const void *args, int r)
{
    const TopK *t = args;
    t->a->found[r] = top_row(t->a, r, t->cand + (size_t)r * (size_t)t->a->stride);
}

static bool top_k(Stream *on, const TopKArgs *a)
{
    size_t stride = (size_t)a->stride;
    Cand *cand = cpu_scratch(on, SCRATCH_SELECT, (size_t)a->logits->rows * stride * sizeof *cand);
    if (!cand)
        return false;
    run_each(on, row_team(on, a->logits), a->logits->rows, top_k_row, &(TopK){a, cand});
    return true;
}

void ISA_SYM(install_select)(Backend *b)
{
    b->log_softmax = log_softmax;
    b->top_k = top_k;
}
