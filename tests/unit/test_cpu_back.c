/* Backward kernels of every set that runs here, against central differences of a forward pass
 * written in double (for what is linear: against the sums themselves). The loss is always
 * sum(dy * y) over the output, unless the kernel is a loss itself. */
#include "cpu_bench.h"
#include "base/mem.h"

/* --- differences ------------------------------------------------------------------------------- */

/* One differentiable input: its values in double, and its gradient before the kernel ran. */
typedef struct Input {
    const Tensor *t;
    double *v; /* [rows, cols] */
    float *before;
} Input;

static Input input(const Tensor *t)
{
    Input in = {.t = t,
                .v = malloc((size_t)t->rows * (size_t)t->cols * sizeof(double)),
                .before = copy_of(t->grad, t)};
    for (int r = 0; r < t->rows; r++)
        for (int c = 0; c < t->cols; c++)
            in.v[(size_t)r * (size_t)t->cols + (size_t)c] = row_f32(t, r)[c];
    return in;
}

static void input_free(Input *in)
{
    free(in->v);
    free(in->before);
}

static void reset_grad(const Input *in)
{
    memcpy(in->t->grad, in->before, (size_t)in->t->rows * (size_t)in->t->ld * 4);
}

typedef double Loss(const void *problem);

/* Compares `samples` entries of the gradient with (loss(x + h) - loss(x - h)) / 2h.
 * The error is relative to the gradient, but to `unit` where that is larger: the size of a sum
 * whose terms cancel. */
static double difference_error(const Input *in, Loss *loss, const void *problem, int samples,
                               double unit)
{
    const double h = 1e-4;
    int n = in->t->rows * in->t->cols;
    double worst = 0;
    for (int s = 0; s < samples && s < n; s++) {
        int i = samples >= n ? s : draw_below(n);
        int at = i / in->t->cols * in->t->ld + i % in->t->cols;
        double x = in->v[i];
        in->v[i] = x + h;
        double up = loss(problem);
        in->v[i] = x - h;
        double want = (up - loss(problem)) / (2 * h);
        in->v[i] = x;
        double e = fabs((double)in->t->grad[at] - in->before[at] - want) / fmax(unit, fabs(want));
        worst = e <= worst ? worst : isnan(e) ? INFINITY : e;
    }
    return worst;
}

/* Runs `call` on 1 and 2 threads from the same gradients: the same bits must come out. */
static void same_for_threads(Stream *d, Input *in, int n, void (*call)(Stream *, void *),
                             void *problem)
{
    float *first[8];
    d->threads = 1;
    call(d, problem);
    for (int i = 0; i < n; i++) {
        first[i] = copy_of(in[i].t->grad, in[i].t);
        reset_grad(&in[i]);
    }
    d->threads = 2;
    call(d, problem);
    for (int i = 0; i < n; i++) {
        const Tensor *t = in[i].t;
        assert_true(same_bits(t->grad, t->ld, first[i], t->ld, t->rows, t->cols));
        check_guards(t);
        free(first[i]);
    }
}

static double dense(const Input *in, int r, int c)
{
    return in->v[(size_t)r * (size_t)in->t->cols + (size_t)c];
}

/* --- attention --------------------------------------------------------------------------------- */

typedef struct AttentionProblem {
    AttentionArgs a;
    Input in[4]; /* q, k, v, bias */
    int n;       /* inputs: 3, or 4 with a bias */
} AttentionProblem;

static AttnSpan span64(const AttentionArgs *a, int g)
{
    int nq = a->q->rows / a->groups, nk = a->k->rows / a->groups;
    return a->span ? a->span[g] : (AttnSpan){g * nq, nq, g * nk, nk};
}

static double attention_row(const AttentionProblem *p, int g, int h, int r)
{
    AttnSpan s = span64(&p->a, g);
    int hd = p->a.q->cols / p->a.heads, at = r + s.nk - s.nq, n = p->a.causal ? at + 1 : s.nk;
    double w[200], max = -INFINITY, sum = 0, loss = 0;
    for (int j = 0; j < n; j++) {
        w[j] = p->a.bias ? dense(&p->in[3], p->a.bias->rows / 2 + j - at, h) : 0;
        for (int i = 0; i < hd; i++)
            w[j] += dense(&p->in[0], s.q + r, h * hd + i) * dense(&p->in[1], s.k + j, h * hd + i) *
                    (double)p->a.scale;
        max = fmax(max, w[j]);
    }
    for (int j = 0; j < n; j++)
        sum += w[j] = exp(w[j] - max);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < hd; i++)
            loss += w[j] / sum * dense(&p->in[2], s.k + j, h * hd + i) *
                    row_grad(p->a.out, s.q + r)[h * hd + i];
    return loss;
}

static double attention_loss(const void *problem)
{
    const AttentionProblem *p = problem;
    double loss = 0;
    for (int g = 0; g < p->a.groups; g++)
        for (int h = 0; h < p->a.heads; h++)
            for (int r = 0; r < span64(&p->a, g).nq; r++)
                loss += attention_row(p, g, h, r);
    return loss;
}

static void call_attention(Stream *d, void *problem)
{
    assert_true(d->k->attention_back(d, &((AttentionProblem *)problem)->a));
}

/* Without one of the gradients the others come out the same. */
static void attention_skips(Stream *d, AttentionProblem *p, Tensor *t[])
{
    float *all[4];
    for (int i = 0; i < p->n; i++)
        all[i] = copy_of(t[i]->grad, t[i]);
    for (int skip = 0; skip < p->n; skip++) {
        for (int i = 0; i < p->n; i++)
            reset_grad(&p->in[i]);
        float *grad = t[skip]->grad;
        t[skip]->grad = NULL;
        call_attention(d, p);
        t[skip]->grad = grad;
        for (int i = 0; i < p->n; i++)
            assert_true(same_bits(t[i]->grad, t[i]->ld, i == skip ? p->in[i].before : all[i],
                                  t[i]->ld, t[i]->rows, t[i]->cols));
    }
    for (int i = 0; i < p->n; i++)
        free(all[i]);
}

/* Without scratch: false, and no gradient is touched. */
static void attention_no_memory(AttentionProblem *p, const char *isa)
{
    Stream *d = open_isa(isa, 2);
    for (int i = 0; i < p->n; i++)
        reset_grad(&p->in[i]);
    mem_fail_at(1);
    assert_false(d->k->attention_back(d, &p->a));
    assert_true(mem_fail_hit());
    for (int i = 0; i < p->n; i++)
        assert_true(same_bits(p->in[i].t->grad, p->in[i].t->ld, p->in[i].before, p->in[i].t->ld,
                              p->in[i].t->rows, p->in[i].t->cols));
    d->close(d);
}

typedef struct Sizes {
    int heads, hd, groups, nq,
        nk; /* nq, nk: rows of each group; of all of them, where there are spans */
    bool causal;
    int pad;
} Sizes;

/* spans NULL: equal groups. far < 0: no bias. */
static void attention_of(Stream *d, const Sizes *c, const AttnSpan *spans, int far, float scale)
{
    int heads = c->heads, hd = c->hd, n = spans ? 1 : c->groups;
    Tensor q = matrix(n * c->nq, heads * hd, c->pad, true);
    Tensor k = matrix(n * c->nk, heads * hd, c->pad, true);
    Tensor v = matrix(n * c->nk, heads * hd, c->pad, true);
    Tensor out = matrix(n * c->nq, heads * hd, c->pad, true);
    Tensor bias = matrix(far < 0 ? 1 : 2 * far + 1, heads, 2, true), *all[] = {&q, &k, &v, &bias};
    AttentionProblem p = {{.q = &q,
                           .k = &k,
                           .v = &v,
                           .out = &out,
                           .heads = heads,
                           .groups = c->groups,
                           .span = spans,
                           .bias = far < 0 ? NULL : &bias,
                           .scale = scale,
                           .causal = c->causal},
                          {input(&q), input(&k), input(&v), input(&bias)},
                          far < 0 ? 3 : 4};
    for (int g = 0; spans && g < c->groups; g++) {
        p.a.most_q = spans[g].nq > p.a.most_q ? spans[g].nq : p.a.most_q;
        p.a.most_k = spans[g].nk > p.a.most_k ? spans[g].nk : p.a.most_k;
    }
    same_for_threads(d, p.in, p.n, call_attention, &p);
    static const char *const names[] = {"q", "k", "v", "bias"};
    char what[80];
    for (int i = 0; i < p.n; i++) {
        snprintf(what, sizeof(what), "attention d%s %dx%d %d %s %dx%d%s", names[i], heads, hd,
                 c->groups, spans ? "spans" : "groups", c->nq, c->nk, c->causal ? " causal" : "");
        /* An exponential is as wrong as its score is, and that grows with the score's size; a key has
         * the sum over nq queries, each of which gives it about the nk-th part. */
        double unit = fmax(1, sqrt((double)c->nq / c->nk)) * fmax(1, (double)scale * sqrt(hd));
        check_error(d, what, difference_error(&p.in[i], attention_loss, &p, i < 3 ? 25 : 80, unit),
                    1e-6);
    }
    attention_skips(d, &p, all);
    if (!card_is(d->isa)) /* whose memory no hook ends */
        attention_no_memory(&p, d->isa);
    for (int i = 0; i < 4; i++) {
        input_free(&p.in[i]);
        matrix_free(all[i]);
    }
    matrix_free(&out);
}

static void attention_one(Stream *d, int heads, int hd, int groups, int nq, int nk, bool causal,
                          int pad)
{
    attention_of(d, &(Sizes){heads, hd, groups, nq, nk, causal, pad}, NULL, -1,
                 1 / sqrtf((float)hd));
}

/* Groups of different lengths, two of which share keys, one has no queries; more queries than keys; a bias that
 * reaches exactly as far as it must, or further. */
static void attentions_apart(Stream *d)
{
    static const AttnSpan SPANS[] = {{0, 33, 0, 41}, {33, 1, 41, 1}, {34, 29, 42, 50},
                                     {63, 0, 3, 9},  {63, 7, 0, 41}, {70, 20, 92, 90}};
    static const AttnSpan LONG[] = {{0, 60, 0, 31}, {60, 3, 10, 2}};
    Sizes five = {3, 20, 6, 90, 182, false, 4}, equal = {2, 10, 3, 21, 30, false, 0};
    for (int causal = 0; causal < 2; causal++) {
        five.causal = equal.causal = causal;
        attention_of(d, &five, SPANS, -1, 0.25f);
        attention_of(d, &five, SPANS, 89, 1);
        attention_of(d, &equal, NULL, -1, 1);
        attention_of(d, &equal, NULL, 29, 1);
        attention_of(d, &equal, NULL, 40, 0.3f);
    }
    attention_of(d, &(Sizes){2, 8, 2, 63, 41, false, 1}, LONG, 59, 0.5f);
    attention_of(d, &(Sizes){2, 8, 1, 300, 20, false, 1}, NULL, 299, 0.5f);
}

static void attentions(Stream *d)
{
    attention_one(d, 2, 8, 2, 5, 7, false, 3);
    attention_one(d, 3, 10, 2, 40, 45, true, 0);
    attention_one(d, 1, 88, 1, 60, 70, false, 176);
    attention_one(d, 2, 64, 1, 33, 33, true, 1);
    attention_one(d, 1, 1, 1, 1, 1, true, 0);
    attention_one(d, 2, 100, 1, 3, 130, false, 5);
}

/* --- linear ------------------------------------------------------------------------------------ */

typedef struct LinearProblem {
    Tensor x, y, w, b; /* w: in float, for the reference; its grad and b's are the Params' */
    Param wp, bp;
    LinearArgs args;
} LinearProblem;

/* The weight in its own type at an odd address, and its exact value in p->w. */
static void store_weight(LinearProblem *p, DType t)
{
    size_t n = (size_t)p->w.rows * (size_t)p->w.cols, size = dtype_size(t);
    char *raw = malloc(n * size + 1);
    float *w = f32(&p->w), *scale = malloc((size_t)p->w.rows * sizeof(float));
    for (int r = 0; r < p->w.rows; r++)
        scale[r] = 0.01f * (float)(r % 7 + 1);
    for (size_t i = 0; i < n; i++) {
        uint16_t h = t == F16 ? f32_to_f16(w[i]) : f32_to_bf16(w[i]);
        int8_t q = (int8_t)(draw_below(255) - 127);
        const void *from = t == F32 ? (void *)&w[i] : t == I8 ? (void *)&q : (void *)&h;
        memcpy(raw + 1 + i * size, from, size);
        w[i] = t == F32   ? w[i]
               : t == I8  ? (float)q * scale[i / (size_t)p->w.cols]
               : t == F16 ? f16_to_f32(h)
                          : bf16_to_f32(h);
    }
    p->wp = (Param){.dtype = t,
                    .rows = p->w.rows,
                    .cols = p->w.cols,
                    .data = raw + 1,
                    .scale = t == I8 ? scale : NULL,
                    .grad = p->w.grad};
    if (t != I8)
        free(scale);
}

static void call_linear(Stream *d, void *problem)
{
    assert_true(d->k->linear_back(d, &((LinearProblem *)problem)->args));
}

/* A sum in double, and the sum of its terms' sizes: what the error of an f32 sum is measured by. */
typedef struct Sum {
    double value, size;
} Sum;

static void sum_add(Sum *s, double term)
{
    s->value += term;
    s->size += fabs(term);
}

static double sum_error(const Sum *s, float got)
{
    double e = fabs(got - s->value) / s->size;
    return isnan(e) ? INFINITY : e;
}

static double linear_error(const LinearProblem *p, const Input in[3])
{
    double worst = 0;
    int m = p->x.rows, ni = p->w.cols, no = p->w.rows;
    for (int s = 0; s < 300; s++) {
        int r = draw_below(m), i = draw_below(ni), o = draw_below(no);
        Sum dx = {0}, dw = {0}, db = {0};
        sum_add(&dx, in[0].before[r * p->x.ld + i]);
        sum_add(&dw, in[1].before[o * ni + i]);
        sum_add(&db, in[2].before[o]);
        for (int k = 0; k < no; k++)
            sum_add(&dx, (double)row_grad(&p->y, r)[k] * row_f32(&p->w, k)[i]);
        for (int k = 0; k < m; k++) {
            sum_add(&dw, (double)row_grad(&p->y, k)[o] * row_f32(&p->x, k)[i]);
            sum_add(&db, row_grad(&p->y, k)[o]);
        }
        worst = fmax(worst, sum_error(&dx, row_grad(&p->x, r)[i]));
        worst = fmax(worst, sum_error(&dw, row_grad(&p->w, o)[i]));
        worst = fmax(worst, sum_error(&db, p->b.grad[o]));
    }
    return worst;
}

static void linear_one(Stream *d, int m, int ni, int no, DType type)
{
    LinearProblem p = {.x = matrix(m, ni, 3, true),
                       .y = matrix(m, no, 2, true),
                       .w = matrix(no, ni, 0, true),
                       .b = matrix(1, no, 0, true)};
    store_weight(&p, type);
    p.bp = (Param){.dtype = F32, .rows = 1, .cols = no, .data = p.b.data, .grad = p.b.grad};
    p.args = (LinearArgs){.x = &p.x, .w = &p.wp, .b = &p.bp, .y = &p.y};
    Input in[] = {input(&p.x), input(&p.w), input(&p.b)};
    same_for_threads(d, in, 3, call_linear, &p);
    char what[64];
    snprintf(what, sizeof(what), "linear %s, %d rows, %d -> %d", dtype_name(type), m, ni, no);
    check_error(d, what, linear_error(&p, in), 5e-7);
    float *dw = copy_of(p.w.grad, &p.w), *dx = copy_of(p.x.grad, &p.x), *keep = p.x.grad;
    for (int i = 0; i < 3; i++)
        reset_grad(&in[i]);
    p.x.grad = NULL; /* a frozen input, no bias */
    p.args.b = NULL;
    call_linear(d, &p);
    assert_true(same_bits(p.w.grad, ni, dw, ni, no, ni));
    p.x = part(&p.x, m / 2, 1, 0, ni); /* one row alone, frozen weight */
    p.y = part(&p.y, m / 2, 1, 0, no);
    p.x.grad = keep + (size_t)(m / 2) * (size_t)p.x.ld;
    p.wp.grad = NULL;
    call_linear(d, &p);
    assert_true(same_bits(keep + m / 2 * p.x.ld, 1, dx + m / 2 * p.x.ld, 1, 1, ni));
    assert_true(same_bits(p.w.grad, ni, dw, ni, no, ni));
    free(dw);
    free(dx);
    free((char *)p.wp.data - 1);
    free((void *)p.wp.scale);
    p.x.data = f32(&p.x) - (size_t)(m / 2) * (size_t)p.x.ld;
    p.y.data = f32(&p.y) - (size_t)(m / 2) * (size_t)p.y.ld;
    Tensor *all[] = {&p.x, &p.y, &p.w, &p.b};
    for (int i = 0; i < 4; i++)
        matrix_free(all[i]);
    for (int i = 0; i < 3; i++)
        input_free(&in[i]);
}

static void linears(Stream *d)
{
    static const DType types[] = {F32, F16, BF16, I8};
    for (int t = 0; t < 4; t++) {
        linear_one(d, 3, 5, 7, types[t]);
        linear_one(d, 61, 600, 300, types[t]);
    }
    linear_one(d, 1, 1, 1, F32);
    linear_one(d, 600, 70, 33, F32);
}

/* --- layernorm ----------------------------------------------------------------------------------- */

typedef struct RowProblem {
    Tensor x, y, g, b;
    Param gamma, beta;
    Input in[3]; /* x, gamma, beta */
    Act act;
    int *targets;
} RowProblem;

static void row_problem(RowProblem *p, int rows, int cols)
{
    p->x = matrix(rows, cols, 3, true);
    p->y = matrix(rows, cols, 1, true);
    p->g = matrix(1, cols, 0, true);
    p->b = matrix(1, cols, 0, true);
    p->gamma = (Param){.dtype = F32, .rows = 1, .cols = cols, .data = p->g.data, .grad = p->g.grad};
    p->beta = (Param){.dtype = F32, .rows = 1, .cols = cols, .data = p->b.data, .grad = p->b.grad};
    p->in[0] = input(&p->x);
    p->in[1] = input(&p->g);
    p->in[2] = input(&p->b);
}

static void row_problem_free(RowProblem *p)
{
    Tensor *all[] = {&p->x, &p->y, &p->g, &p->b};
    for (int i = 0; i < 4; i++)
        matrix_free(all[i]);
    for (int i = 0; i < 3; i++)
        input_free(&p->in[i]);
}

static double norm_loss(const void *problem)
{
    const RowProblem *p = problem;
    int n = p->x.cols;
    double loss = 0;
    for (int r = 0; r < p->x.rows; r++) {
        const double *x = p->in[0].v + (size_t)r * (size_t)n;
        double mean = 0, var = 0;
        for (int i = 0; i < n; i++)
            mean += x[i] / n;
        for (int i = 0; i < n; i++)
            var += (x[i] - mean) * (x[i] - mean) / n;
        for (int i = 0; i < n; i++)
            loss += ((x[i] - mean) / sqrt(var + 1e-3) * p->in[1].v[i] + p->in[2].v[i]) *
                    row_grad(&p->y, r)[i];
    }
    return loss;
}

static void call_norm(Stream *d, void *problem)
{
    RowProblem *p = problem;
    d->k->layernorm_back(d, &p->y, &p->x, &p->gamma, &p->beta, 1e-3f);
}

static void norm_one(Stream *d, int rows, int cols)
{
    RowProblem p;
    row_problem(&p, rows, cols);
    same_for_threads(d, p.in, 3, call_norm, &p);
    static const char *const names[] = {"x", "gamma", "beta"};
    char what[64];
    for (int i = 0; i < 3; i++) {
        snprintf(what, sizeof(what), "layernorm d%s %dx%d", names[i], rows, cols);
        check_error(d, what, difference_error(&p.in[i], norm_loss, &p, 60, i ? sqrt(rows) : 1),
                    1e-6);
    }
    float *dx = copy_of(p.x.grad, &p.x);
    for (int i = 0; i < 3; i++)
        reset_grad(&p.in[i]);
    p.gamma.grad = p.beta.grad = NULL;
    call_norm(d, &p);
    assert_true(same_bits(p.x.grad, p.x.ld, dx, p.x.ld, rows, cols));
    assert_true(same_bits(p.g.grad, cols, p.in[1].before, cols, 1, cols));
    free(dx);
    row_problem_free(&p);
}

static void norms(Stream *d)
{
    norm_one(d, 3, 7);
    norm_one(d, 1, 48);
    norm_one(d, 300, 131);
}

/* --- rmsnorm, l2norm, multiply, mean_rows --------------------------------------------------------- */

static double squares64(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

static double rms_loss(const void *problem)
{
    const RowProblem *p = problem;
    int n = p->x.cols;
    double loss = 0;
    for (int r = 0; r < p->x.rows; r++) {
        const double *x = p->in[0].v + (size_t)r * (size_t)n;
        double factor = 1 / sqrt(squares64(x, n) / n + 1e-3);
        for (int i = 0; i < n; i++)
            loss += x[i] * factor * p->in[1].v[i] * row_grad(&p->y, r)[i];
    }
    return loss;
}

static void call_rms(Stream *d, void *problem)
{
    RowProblem *p = problem;
    d->k->rmsnorm_back(d, &p->y, &p->x, &p->gamma, 1e-3f);
}

static void rms_one(Stream *d, int rows, int cols)
{
    RowProblem p;
    row_problem(&p, rows, cols);
    same_for_threads(d, p.in, 2, call_rms, &p);
    char what[64];
    for (int i = 0; i < 2; i++) {
        snprintf(what, sizeof(what), "rmsnorm d%s %dx%d", i ? "gamma" : "x", rows, cols);
        /* gamma's is the sum over all rows, one after another in f32 */
        check_error(d, what, difference_error(&p.in[i], rms_loss, &p, 60, i ? sqrt(rows) : 1),
                    i ? 3e-6 : 1e-6);
    }
    float *dx = copy_of(p.x.grad, &p.x);
    for (int i = 0; i < 2; i++)
        reset_grad(&p.in[i]);
    p.gamma.grad = NULL;
    call_rms(d, &p);
    assert_true(same_bits(p.x.grad, p.x.ld, dx, p.x.ld, rows, cols));
    assert_true(same_bits(p.g.grad, cols, p.in[1].before, cols, 1, cols));
    free(dx);
    row_problem_free(&p);
}

/* Half of the rows are shorter than 3: there the length does not count. */
static double l2_loss(const void *problem)
{
    const RowProblem *p = problem;
    int n = p->x.cols;
    double loss = 0;
    for (int r = 0; r < p->x.rows; r++) {
        const double *x = p->in[0].v + (size_t)r * (size_t)n;
        double length = fmax(sqrt(squares64(x, n)), 3);
        for (int i = 0; i < n; i++)
            loss += x[i] / length * row_grad(&p->y, r)[i];
    }
    return loss;
}

static void call_l2(Stream *d, void *problem)
{
    RowProblem *p = problem;
    d->k->l2norm_back(d, &p->y, &p->x, 3);
}

static void l2_one(Stream *d, int rows, int cols)
{
    RowProblem p;
    row_problem(&p, rows, cols);
    for (int r = 0; r < rows; r++) { /* of lengths 1 and 9 */
        float size = (r % 2 ? 9 : 1) / sqrtf((float)squares64(p.in[0].v + r * cols, cols));
        for (int i = 0; i < cols; i++)
            row_f32(&p.x, r)[i] *= size;
    }
    input_free(&p.in[0]);
    p.in[0] = input(&p.x);
    same_for_threads(d, p.in, 1, call_l2, &p);
    char what[64];
    snprintf(what, sizeof(what), "l2norm %dx%d", rows, cols);
    check_error(d, what, difference_error(&p.in[0], l2_loss, &p, 100, 1), 1e-6);
    row_problem_free(&p);
}

typedef struct GroupProblem {
    Tensor a, b, y;
    Input in[2];
    int group;
} GroupProblem;

static void group_problem_free(GroupProblem *p)
{
    Tensor *all[] = {&p->a, &p->b, &p->y};
    for (int i = 0; i < 3; i++)
        matrix_free(all[i]);
    for (int i = 0; i < 2; i++)
        input_free(&p->in[i]);
}

static void group_problem(GroupProblem *p, int rows, int cols, int group)
{
    *p = (GroupProblem){.a = matrix(rows, cols, 3, true),
                        .b = matrix(rows, cols, 0, true),
                        .y = matrix(rows / group, cols, 1, true),
                        .group = group};
    p->in[0] = input(&p->a);
    p->in[1] = input(&p->b);
}

static void call_multiply(Stream *d, void *problem)
{
    GroupProblem *p = problem;
    d->k->multiply_back(d, &p->y, &p->a, &p->b);
}

static void multiply_one(Stream *d, int rows, int cols)
{
    GroupProblem p;
    group_problem(&p, rows, cols, 1);
    double *want[2];
    for (int i = 0; i < 2; i++) {
        const Tensor *of = i ? &p.b : &p.a, *other = i ? &p.a : &p.b;
        want[i] = malloc((size_t)rows * (size_t)cols * sizeof(double));
        for (int k = 0; k < rows * cols; k++)
            want[i][k] =
                (double)row_grad(of, k / cols)[k % cols] +
                (double)row_grad(&p.y, k / cols)[k % cols] * row_f32(other, k / cols)[k % cols];
    }
    same_for_threads(d, p.in, 2, call_multiply, &p);
    check_error(d, "multiply da", worst_error(p.a.grad, p.a.ld, want[0], rows, cols, 1), 3e-7);
    check_error(d, "multiply db", worst_error(p.b.grad, p.b.ld, want[1], rows, cols, 1), 3e-7);
    float *db = copy_of(p.b.grad, &p.b), *da = p.a.grad;
    reset_grad(&p.in[0]);
    reset_grad(&p.in[1]);
    p.a.grad = NULL;
    call_multiply(d, &p);
    p.a.grad = da;
    assert_true(same_bits(p.b.grad, p.b.ld, db, p.b.ld, rows, cols));
    assert_true(same_bits(p.a.grad, p.a.ld, p.in[0].before, p.a.ld, rows, cols));
    free(db);
    free(want[0]);
    free(want[1]);
    group_problem_free(&p);
}

static void call_mean(Stream *d, void *problem)
{
    GroupProblem *p = problem;
    d->k->mean_rows_back(d, &p->y, &p->a, p->group);
}

static void mean_one(Stream *d, int n, int group, int cols)
{
    GroupProblem p;
    group_problem(&p, n * group, cols, group);
    double *want = malloc((size_t)(n * group) * (size_t)cols * sizeof(double));
    for (int k = 0; k < n * group * cols; k++)
        want[k] = row_grad(&p.a, k / cols)[k % cols] +
                  1.0 / group * row_grad(&p.y, k / cols / group)[k % cols];
    same_for_threads(d, p.in, 1, call_mean, &p);
    check_error(d, "mean of rows", worst_error(p.a.grad, p.a.ld, want, n * group, cols, 1), 3e-7);
    free(want);
    group_problem_free(&p);
}

static void more_rows(Stream *d)
{
    rms_one(d, 3, 7);
    rms_one(d, 1, 48);
    rms_one(d, 300, 131);
    l2_one(d, 4, 7);
    l2_one(d, 300, 131);
    multiply_one(d, 3, 7);
    multiply_one(d, 61, 1030);
    mean_one(d, 1, 1, 1);
    mean_one(d, 5, 7, 33);
    mean_one(d, 40, 32, 66);
}

/* --- activations, table, loss ---------------------------------------------------------------------- */

static double act_loss(const void *problem)
{
    const RowProblem *p = problem;
    double loss = 0;
    for (int i = 0; i < p->x.rows * p->x.cols; i++) {
        double x = p->in[0].v[i], y = x;
        if (p->act == ACT_GELU)
            y = 0.5 * x * erfc(-x / sqrt(2));
        if (p->act == ACT_RELU)
            y = x > 0 ? x : 0;
        if (p->act == ACT_QUICK_GELU)
            y = x / (1 + exp(-1.702 * x));
        if (p->act == ACT_GELU_TANH)
            y = 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
        loss += y * row_grad(&p->y, i / p->x.cols)[i % p->x.cols];
    }
    return loss;
}

static void call_act(Stream *d, void *problem)
{
    RowProblem *p = problem;
    d->k->activate_back(d, &p->y, &p->x, p->act);
}

static void activations(Stream *d)
{
    for (int act = ACT_NONE; act <= ACT_GELU_TANH; act++) {
        RowProblem p = {.act = (Act)act};
        row_problem(&p, 70, 501);
        for (int i = 0; i < 70; i++) /* some far out, where the slope is 0 or 1 */
            row_f32(&p.x, i)[i] *= 20;
        input_free(&p.in[0]);
        p.in[0] = input(&p.x);
        same_for_threads(d, p.in, 1, call_act, &p);
        static const char *const names[] = {"none", "gelu", "relu", "quick_gelu", "gelu_tanh"};
        check_error(d, names[act], difference_error(&p.in[0], act_loss, &p, 300, 1), 1e-6);
        row_problem_free(&p);
    }
}

static double ce_loss(const void *problem)
{
    const RowProblem *p = problem;
    double loss = 0;
    int valid = 0, n = p->x.cols;
    for (int r = 0; r < p->x.rows; r++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += exp(p->in[0].v[r * n + i]);
        if (p->targets[r] >= 0)
            loss += log(sum) - p->in[0].v[r * n + p->targets[r]];
        valid += p->targets[r] >= 0;
    }
    return 50 * loss / valid; /* 50: the gradient of the loss */
}

static void call_ce(Stream *d, void *problem)
{
    RowProblem *p = problem;
    float dloss = 50;
    d->k->softmax_loss_back(d, &(Tensor){.rows = 1, .cols = 1, .ld = 1, .grad = &dloss}, &p->x,
                            &p->y, p->targets);
}

static void loss_one(Stream *d, int rows, int cols)
{
    RowProblem p;
    row_problem(&p, rows, cols);
    p.targets = malloc((size_t)rows * sizeof(int));
    for (int r = 0; r < rows; r++)
        p.targets[r] = r % 3 == 1 ? -100 : draw_below(cols);
    float value;
    d->k->softmax_loss(d, &(Tensor){.rows = 1, .cols = 1, .ld = 1, .data = &value}, &p.y, &p.x,
                       p.targets);
    same_for_threads(d, p.in, 1, call_ce, &p);
    char what[64];
    snprintf(what, sizeof(what), "loss %dx%d", rows, cols);
    check_error(d, what, difference_error(&p.in[0], ce_loss, &p, 100, 1), 1e-6);
    for (int r = 0; r < rows; r++)
        p.targets[r] = -1;
    reset_grad(&p.in[0]);
    call_ce(d, &p); /* nothing to learn from: nothing added */
    assert_true(same_bits(p.x.grad, p.x.ld, p.in[0].before, p.x.ld, rows, cols));
    free(p.targets);
    row_problem_free(&p);
}

static void losses(Stream *d)
{
    loss_one(d, 1, 2);
    loss_one(d, 7, 33);
    loss_one(d, 70, 501);
}

typedef struct TableProblem {
    Tensor t, y;
    Param table;
    int ids[300];
} TableProblem;

static void call_embed(Stream *d, void *problem)
{
    TableProblem *p = problem;
    d->k->embed_back(d, &p->y, &p->table, p->ids);
}

static void embedding(Stream *d)
{
    TableProblem p = {.t = matrix(9, 131, 0, true), .y = matrix(300, 131, 2, true)};
    p.table = (Param){.dtype = BF16, .rows = 9, .cols = 131, .grad = p.t.grad};
    double *want = malloc(9 * 131 * sizeof(double));
    for (int i = 0; i < 9 * 131; i++)
        want[i] = p.t.grad[i];
    for (int r = 0; r < 300; r++) {
        p.ids[r] = draw_below(8);
        for (int c = 0; c < 131; c++)
            want[p.ids[r] * 131 + c] += row_grad(&p.y, r)[c];
    }
    Input in = input(&p.t);
    same_for_threads(d, &in, 1, call_embed, &p);
    /* 37 terms of size 1 each */
    check_error(d, "embed", worst_error(p.t.grad, 131, want, 9, 131, 6), 1e-6);
    p.table.grad = NULL;
    call_embed(d, &p); /* a frozen table */
    input_free(&in);
    free(want);
    matrix_free(&p.t);
    matrix_free(&p.y);
}

/* --- gathered and resized rows ------------------------------------------------------------------ */

typedef struct RowsProblem {
    Tensor a, b, y;
    Input in[2];
    int from[300], grid, gh, gw;
    bool corners;
} RowsProblem;

static void call_gather(Stream *d, void *problem)
{
    RowsProblem *p = problem;
    d->k->gather_rows_back(d, &p->y, &p->a, &p->b, p->from);
}

static void gathering(Stream *d)
{
    enum { A = 9, B = 5, C = 131 };
    RowsProblem p = {
        .a = matrix(A, C, 3, true), .b = matrix(B, C, 0, true), .y = matrix(300, C, 2, true)};
    double *want = malloc((A + B) * C * sizeof(double));
    for (int i = 0; i < (A + B) * C; i++)
        want[i] = (double)(i < A * C ? row_grad(&p.a, i / C) : row_grad(&p.b, i / C - A))[i % C];
    for (int r = 0; r < 300; r++) {
        p.from[r] = draw_below(A + B);
        for (int c = 0; c < C; c++)
            want[p.from[r] * C + c] += row_grad(&p.y, r)[c];
    }
    p.in[0] = input(&p.a);
    p.in[1] = input(&p.b);
    same_for_threads(d, p.in, 2, call_gather, &p);
    check_error(d, "gather first", worst_error(p.a.grad, p.a.ld, want, A, C, 6), 1e-6);
    check_error(d, "gather second", worst_error(p.b.grad, C, want + A * C, B, C, 6), 1e-6);
    float *db = copy_of(p.b.grad, &p.b), *da = p.a.grad;
    reset_grad(&p.in[1]);
    p.a.grad = NULL; /* only the second wants one */
    call_gather(d, &p);
    assert_true(same_bits(p.b.grad, C, db, C, B, C));
    p.a.grad = da;
    free(db);
    free(want);
    input_free(&p.in[0]);
    input_free(&p.in[1]);
    matrix_free(&p.a);
    matrix_free(&p.b);
    matrix_free(&p.y);
}

static void call_resize(Stream *d, void *problem)
{
    RowsProblem *p = problem;
    d->k->resize_grid_back(d, &p->y, &p->a, p->grid, p->gh, p->gw, p->corners);
}

/* Linear, so the adjoint is all: sum(resize(x) dy) = sum(x dx) for every x. */
static double adjoint_error(Stream *d, RowsProblem *p, int cols)
{
    Tensor x = matrix(p->a.rows, cols, 0, false), y = matrix(p->y.rows, cols, 0, false);
    double worst = 0;
    d->k->resize_grid(d, &y, &x, p->grid, p->gh, p->gw, p->corners);
    for (int c = 0; c < cols; c++) {
        double left = 0, right = 0, size = 1;
        for (int r = 0; r < y.rows; r++)
            left += (double)row_f32(&y, r)[c] * row_grad(&p->y, r)[c];
        for (int r = 0; r < x.rows; r++) {
            double dx = (double)row_grad(&p->a, r)[c] - p->in[0].before[r * p->a.ld + c];
            right += row_f32(&x, r)[c] * dx;
            size += fabs(row_f32(&x, r)[c] * dx);
        }
        worst = fmax(worst, fabs(left - right) / size);
    }
    matrix_free(&x);
    matrix_free(&y);
    return worst;
}

static void resize_one(Stream *d, int grid, int gh, int gw, int cols, bool corners)
{
    RowsProblem p = {.a = matrix(1 + grid * grid, cols, 3, true),
                     .y = matrix(1 + gh * gw, cols, 1, true),
                     .grid = grid,
                     .gh = gh,
                     .gw = gw,
                     .corners = corners};
    p.in[0] = input(&p.a);
    same_for_threads(d, p.in, 1, call_resize, &p);
    char what[64];
    snprintf(what, sizeof(what), "resize %dx%d to %dx%d%s", grid, grid, gh, gw,
             corners ? " by corners" : "");
    check_error(d, what, adjoint_error(d, &p, cols), 1e-6);
    input_free(&p.in[0]);
    matrix_free(&p.a);
    matrix_free(&p.y);
}

static void resizing(Stream *d)
{
    for (int corners = 0; corners < 2; corners++) {
        resize_one(d, 4, 6, 5, 7, corners);
        resize_one(d, 16, 24, 16, 130, corners);
        resize_one(d, 7, 2, 1, 16, corners);
    }
}

static void accumulating(Stream *d)
{
    Tensor a = matrix(40, 1001, 3, false), b = matrix(40, 1001, 1, false);
    double *want = malloc(40 * 1001 * sizeof(double));
    for (int i = 0; i < 40 * 1001; i++)
        want[i] = row_f32(&a, i / 1001)[i % 1001] - 0.3 * row_f32(&b, i / 1001)[i % 1001];
    d->k->accumulate(d, f32(&a), a.ld, f32(&b), b.ld, 40, 1001, -0.3f);
    check_error(d, "accumulate", worst_error(f32(&a), a.ld, want, 40, 1001, 1), 3e-7);
    check_guards(&a);
    free(want);
    matrix_free(&a);
    matrix_free(&b);
}

static void test_attention(void **state)
{
    each_isa(attentions);
    each_isa(attentions_apart);
}

static void test_linear(void **state)
{
    each_isa(linears);
}

static void test_norm(void **state)
{
    each_isa(norms);
}

static void test_rest(void **state)
{
    each_isa(more_rows);
    each_isa(activations);
    each_isa(losses);
    each_isa(embedding);
    each_isa(gathering);
    each_isa(resizing);
    each_isa(accumulating);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
