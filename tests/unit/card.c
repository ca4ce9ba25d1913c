/* tests/unit/card.c: see card.h. */
#include "card.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"

enum { SHADOWS = 16, SLOTS = 64, LINE = 256 };

/* Host memory from `at` on that a kernel is given, and where it lies on the card. */
typedef struct Range {
    char *at, *there;
    size_t size;
} Range;

/* A pointer to change for the call. */
typedef struct Slot {
    void **pointer;
    size_t size;
} Slot;

typedef struct Call {
    Stream *card;
    Tensor tensor[SHADOWS];
    Param param[SHADOWS];
    Slot slot[SLOTS];
    Range range[SLOTS];
    int tensors, params, slots, ranges;
} Call;

typedef struct Card {
    Stream base;
    Device *host, *dev;
    Stream *card;
} Card;

const char *const *card_isas(void)
{
    enum { MOST = 16 };
    static const char *all[MOST + 2];
    const char *const *cpu = cpu_isas();
    int n = 0;
    for (; n < MOST && cpu[n]; n++)
        all[n] = cpu[n];
    all[n] = getenv("BLIP2_TEST_CARD") ? "cuda" : NULL;
    return all;
}

bool card_is(const char *isa)
{
    return isa && (strcmp(isa, "cuda") == 0 || strncmp(isa, "sm_", 3) == 0);
}

/* --- a call ------------------------------------------------------------------------------------------- */

static void need(bool ok, const char *what)
{
    if (!ok)
        BUG(what);
}

/* `pointer`: of whichever type. */
static void slot(Call *c, void *pointer, size_t size)
{
    void **p = pointer;
    if (!*p || !size)
        return;
    need(c->slots < SLOTS, "card: too many pointers");
    c->slot[c->slots++] = (Slot){p, size};
}

static size_t spread(const Tensor *t)
{
    return t->rows ? ((size_t)(t->rows - 1) * (size_t)t->ld + (size_t)t->cols) * sizeof(float) : 0;
}

static Tensor *tensor(Call *c, const Tensor *t)
{
    if (!t)
        return NULL;
    need(c->tensors < SHADOWS, "card: too many tensors");
    Tensor *s = &c->tensor[c->tensors++];
    *s = *t;
    slot(c, &s->data, spread(t));
    slot(c, &s->grad, spread(t));
    return s;
}

static Param *param(Call *c, const Param *p)
{
    if (!p)
        return NULL;
    need(c->params < SHADOWS, "card: too many parameters");
    Param *s = &c->param[c->params++];
    *s = *p;
    slot(c, &s->data, param_data_bytes(p));
    slot(c, &s->scale, param_scales(p) * sizeof *s->scale);
    slot(c, &s->grad, param_count(p) * sizeof *s->grad);
    return s;
}

static int by_address(const void *a, const void *b)
{
    const char *x = ((const Range *)a)->at, *y = ((const Range *)b)->at;
    return (x > y) - (x < y);
}

/* What overlaps becomes one range. */
static void merge(Call *c)
{
    for (int i = 0; i < c->slots; i++)
        c->range[i] = (Range){.at = *c->slot[i].pointer, .size = c->slot[i].size};
    qsort(c->range, (size_t)c->slots, sizeof *c->range, by_address);
    for (int i = 0; i < c->slots; i++) {
        Range *last = c->ranges ? &c->range[c->ranges - 1] : NULL, r = c->range[i];
        if (!last || r.at >= last->at + last->size)
            c->range[c->ranges++] = r;
        else if (r.at + r.size > last->at + last->size)
            last->size = (size_t)(r.at + r.size - last->at);
    }
}

/* Bytes between `at` and a line, which it has on the card, too: kernels may choose by alignment. But a weight, which may lie
 * anywhere on the host, begins there with a line. */
static size_t behind_line(const char *at)
{
    return (uintptr_t)at % sizeof(float) ? 0 : (uintptr_t)at % LINE;
}

static void begin(Call *c)
{
    Device *dev = c->card->dev;
    merge(c);
    for (int i = 0; i < c->ranges; i++) {
        Range *r = &c->range[i];
        char *line = dev->alloc(dev, r->size + LINE);
        need(line, "card: out of memory");
        r->there = line + behind_line(r->at);
        need(c->card->k->upload(c->card, r->there, r->at, r->size), "card: upload");
    }
    for (int i = 0; i < c->slots; i++) {
        const char *p = *c->slot[i].pointer;
        const Range *r = c->range;
        while (p < r->at || p >= r->at + r->size)
            r++;
        *c->slot[i].pointer = r->there + (p - r->at);
    }
}

static bool end(Call *c, bool ok)
{
    Device *dev = c->card->dev;
    Error e = {0};
    need(c->card->k->sync(c->card, &e), e.message);
    for (int i = 0; i < c->ranges; i++) {
        const Range *r = &c->range[i];
        char *got = malloc(r->size);
        need(got && c->card->k->download(c->card, got, r->there, r->size), "card: download");
        if (memcmp(got, r->at, r->size) != 0) /* what only is read may be read-only */
            memcpy(r->at, got, r->size);
        free(got);
        dev->free(dev, r->there - behind_line(r->at));
    }
    return ok;
}

#define CALL          Call c = {.card = ((Card *)on)->card}
#define T(t)          tensor(&c, t)
#define P(p)          param(&c, p)
#define INTS(list, n) slot(&c, &(list), (size_t)(n) * sizeof *(list))
#define RUN(call)        \
    do {                 \
        begin(&c);       \
        c.card->k->call; \
        end(&c, true);   \
    } while (0)
#define TRY(call)                        \
    do {                                 \
        begin(&c);                       \
        return end(&c, c.card->k->call); \
    } while (0)

/* --- the table ---------------------------------------------------------------------------------------- */

static bool upload(Stream *on, void *to, const void *from, size_t bytes)
{
    (void)on;
    memcpy(to, from, bytes);
    return true;
}

static bool sync(Stream *on, Error *e)
{
    (void)on, (void)e;
    return true;
}

static void zero(Stream *on, void *p, size_t bytes)
{
    CALL;
    slot(&c, &p, bytes);
    RUN(zero(c.card, p, bytes));
}

static LinearArgs linear_args(Call *call, const LinearArgs *a)
{
    LinearArgs b = *a;
    b.x = tensor(call, a->x);
    b.w = param(call, a->w);
    b.b = param(call, a->b);
    b.residual = tensor(call, a->residual);
    b.y = tensor(call, a->y);
    return b;
}

static bool linear(Stream *on, const LinearArgs *a)
{
    CALL;
    const LinearArgs b = linear_args(&c, a);
    TRY(linear(c.card, &b));
}

static bool linear_back(Stream *on, const LinearArgs *a)
{
    CALL;
    const LinearArgs b = linear_args(&c, a);
    TRY(linear_back(c.card, &b));
}

static void layernorm(Stream *on, Tensor *y, const Tensor *x, const Param *gamma, const Param *beta,
                      float eps)
{
    CALL;
    Tensor *ty = T(y), *tx = T(x);
    Param *g = P(gamma), *b = P(beta);
    RUN(layernorm(c.card, ty, tx, g, b, eps));
}

static void layernorm_back(Stream *on, const Tensor *y, const Tensor *x, const Param *gamma,
                           const Param *beta, float eps)
{
    CALL;
    Tensor *ty = T(y), *tx = T(x);
    Param *g = P(gamma), *b = P(beta);
    RUN(layernorm_back(c.card, ty, tx, g, b, eps));
}

static void rmsnorm(Stream *on, Tensor *y, const Tensor *x, const Param *gamma, float eps)
{
    CALL;
    Tensor *ty = T(y), *tx = T(x);
    Param *g = P(gamma);
    RUN(rmsnorm(c.card, ty, tx, g, eps));
}

static void rmsnorm_back(Stream *on, const Tensor *y, const Tensor *x, const Param *gamma,
                         float eps)
{
    CALL;
    Tensor *ty = T(y), *tx = T(x);
    Param *g = P(gamma);
    RUN(rmsnorm_back(c.card, ty, tx, g, eps));
}

/* Of two tensors and something more. */
#define DEFINE_2(name, y_type, more_type)                                    \
    static void name(Stream *on, y_type *y, const Tensor *x, more_type more) \
    {                                                                        \
        CALL;                                                                \
        Tensor *ty = T(y), *tx = T(x);                                       \
        RUN(name(c.card, ty, tx, more));                                     \
    }
DEFINE_2(l2norm, Tensor, float)
DEFINE_2(l2norm_back, const Tensor, float)
DEFINE_2(activate, Tensor, Act)
DEFINE_2(activate_back, const Tensor, Act)
DEFINE_2(mean_rows, Tensor, int)
DEFINE_2(mean_rows_back, const Tensor, int)

/* Of three. */
#define DEFINE_3(name, y_type)                                                \
    static void name(Stream *on, y_type *y, const Tensor *a, const Tensor *b) \
    {                                                                         \
        CALL;                                                                 \
        Tensor *ty = T(y), *ta = T(a), *tb = T(b);                            \
        RUN(name(c.card, ty, ta, tb));                                        \
    }
DEFINE_3(add, Tensor)
DEFINE_3(multiply, Tensor)
DEFINE_3(multiply_back, const Tensor)

static void copy(Stream *on, Tensor *y, const Tensor *x)
{
    CALL;
    Tensor *ty = T(y), *tx = T(x);
    RUN(copy(c.card, ty, tx));
}

static void log_softmax(Stream *on, Tensor *y, const Tensor *x)
{
    CALL;
    Tensor *ty = T(y), *tx = T(x);
    RUN(log_softmax(c.card, ty, tx));
}

static AttentionArgs attention_args(Call *call, const AttentionArgs *a)
{
    AttentionArgs b = *a;
    b.q = tensor(call, a->q);
    b.k = tensor(call, a->k);
    b.v = tensor(call, a->v);
    b.out = tensor(call, a->out);
    b.bias = tensor(call, a->bias);
    return b;
}

static bool attention(Stream *on, const AttentionArgs *a)
{
    CALL;
    AttentionArgs b = attention_args(&c, a);
    INTS(b.span, a->groups);
    TRY(attention(c.card, &b));
}

static bool attention_back(Stream *on, const AttentionArgs *a)
{
    CALL;
    AttentionArgs b = attention_args(&c, a);
    INTS(b.span, a->groups);
    TRY(attention_back(c.card, &b));
}

static bool attention_slots(Stream *on, const SlotAttentionArgs *a)
{
    CALL;
    SlotAttentionArgs b = *a;
    int rows = a->q->rows, listed = 0, slots = 0;
    for (int r = 0; r < rows; r++) {
        listed = a->first[r] + a->n[r] > listed ? a->first[r] + a->n[r] : listed;
        for (int i = a->first[r]; i < a->first[r] + a->n[r]; i++)
            slots = a->slots[i] >= slots ? a->slots[i] + 1 : slots;
    }
    b.q = T(a->q);
    b.out = T(a->out);
    b.bias = T(a->bias);
    slot(&c, &b.k.data, (size_t)slots * (size_t)a->q->cols * sizeof(float));
    slot(&c, &b.v.data, (size_t)slots * (size_t)a->q->cols * sizeof(float));
    INTS(b.slots, listed);
    INTS(b.first, rows);
    INTS(b.n, rows);
    TRY(attention_slots(c.card, &b));
}

static void store_slots(Stream *on, SlotBlock dst, const Tensor *x, const int *slots)
{
    CALL;
    int count = 0;
    for (int r = 0; r < x->rows; r++)
        count = slots[r] >= count ? slots[r] + 1 : count;
    Tensor *tx = T(x);
    slot(&c, &dst.data, (size_t)count * (size_t)x->cols * sizeof(float));
    INTS(slots, x->rows);
    RUN(store_slots(c.card, dst, tx, slots));
}

static void embed(Stream *on, Tensor *y, const Param *table, const int *ids)
{
    CALL;
    Tensor *ty = T(y);
    Param *p = P(table);
    INTS(ids, y->rows);
    RUN(embed(c.card, ty, p, ids));
}

static void embed_back(Stream *on, const Tensor *y, const Param *table, const int *ids)
{
    CALL;
    Tensor *ty = T(y);
    Param *p = P(table);
    INTS(ids, y->rows);
    RUN(embed_back(c.card, ty, p, ids));
}

static void gather_rows(Stream *on, Tensor *y, const Tensor *a, const Tensor *b, const int *from)
{
    CALL;
    Tensor *ty = T(y), *ta = T(a), *tb = T(b);
    INTS(from, y->rows);
    RUN(gather_rows(c.card, ty, ta, tb, from));
}

static void gather_rows_back(Stream *on, const Tensor *y, const Tensor *a, const Tensor *b,
                             const int *from)
{
    CALL;
    Tensor *ty = T(y), *ta = T(a), *tb = T(b);
    INTS(from, y->rows);
    RUN(gather_rows_back(c.card, ty, ta, tb, from));
}

static void unfold(Stream *on, Tensor *y, const Tensor *px, int height, int width, int patch)
{
    CALL;
    Tensor *ty = T(y), *tx = T(px);
    RUN(unfold(c.card, ty, tx, height, width, patch));
}

static void resize_grid(Stream *on, Tensor *y, const Tensor *x, int grid, int gh, int gw,
                        bool corners)
{
    CALL;
    Tensor *ty = T(y), *tx = T(x);
    RUN(resize_grid(c.card, ty, tx, grid, gh, gw, corners));
}

static void resize_grid_back(Stream *on, const Tensor *y, const Tensor *x, int grid, int gh, int gw,
                             bool corners)
{
    CALL;
    Tensor *ty = T(y), *tx = T(x);
    RUN(resize_grid_back(c.card, ty, tx, grid, gh, gw, corners));
}

static bool top_k(Stream *on, const TopKArgs *a)
{
    CALL;
    TopKArgs b = *a;
    int rows = a->logits->rows, ids = 0;
    for (int r = 0; r < rows; r++) {
        const TopKRow *row = &a->row[r];
        int to = row->first + row->penalised + row->forbidden;
        ids = to > ids ? to : ids;
    }
    b.logits = T(a->logits);
    b.logprobs = T(a->logprobs);
    INTS(b.row, rows);
    INTS(b.ids, ids);
    INTS(b.out, rows * a->stride);
    INTS(b.found, rows);
    TRY(top_k(c.card, &b));
}

static void softmax_loss(Stream *on, Tensor *loss, Tensor *probs, const Tensor *logits,
                         const int *targets)
{
    CALL;
    Tensor *tl = T(loss), *tp = T(probs), *tx = T(logits);
    INTS(targets, logits->rows);
    RUN(softmax_loss(c.card, tl, tp, tx, targets));
}

static void softmax_loss_back(Stream *on, const Tensor *loss, const Tensor *logits,
                              const Tensor *probs, const int *targets)
{
    CALL;
    Tensor *tl = T(loss), *tx = T(logits), *tp = T(probs);
    INTS(targets, logits->rows);
    RUN(softmax_loss_back(c.card, tl, tx, tp, targets));
}

static void accumulate(Stream *on, float *to, int ldto, const float *from, int ldfrom, int rows,
                       int cols, float factor)
{
    CALL;
    if (rows > 0) {
        slot(&c, &to, ((size_t)(rows - 1) * (size_t)ldto + (size_t)cols) * sizeof *to);
        slot(&c, &from, ((size_t)(rows - 1) * (size_t)ldfrom + (size_t)cols) * sizeof *from);
    }
    RUN(accumulate(c.card, to, ldto, from, ldfrom, rows, cols, factor));
}

static const Backend table = {
    .upload = upload,
    .download = upload,
    .sync = sync,
    .zero = zero,
    .linear = linear,
    .layernorm = layernorm,
    .rmsnorm = rmsnorm,
    .l2norm = l2norm,
    .attention = attention,
    .attention_slots = attention_slots,
    .embed = embed,
    .activate = activate,
    .add = add,
    .multiply = multiply,
    .mean_rows = mean_rows,
    .copy = copy,
    .gather_rows = gather_rows,
    .unfold = unfold,
    .resize_grid = resize_grid,
    .store_slots = store_slots,
    .log_softmax = log_softmax,
    .top_k = top_k,
    .softmax_loss = softmax_loss,
    .linear_back = linear_back,
    .layernorm_back = layernorm_back,
    .rmsnorm_back = rmsnorm_back,
    .l2norm_back = l2norm_back,
    .multiply_back = multiply_back,
    .mean_rows_back = mean_rows_back,
    .attention_back = attention_back,
    .embed_back = embed_back,
    .activate_back = activate_back,
    .gather_rows_back = gather_rows_back,
    .resize_grid_back = resize_grid_back,
    .accumulate = accumulate,
    .softmax_loss_back = softmax_loss_back,
};

/* --- the stream --------------------------------------------------------------------------------------- */

static void close_stream(Stream *on)
{
    Card *s = (Card *)on;
    if (s->card)
        s->card->close(s->card);
    if (s->dev)
        s->dev->close(s->dev);
    if (s->host)
        s->host->close(s->host);
    free(s);
}

Stream *card_stream(Precision precision, Error *e)
{
    Card *s = calloc(1, sizeof *s);
    need(s, "card: out of memory");
    s->host = cpu_device(e);
    s->dev = s->host ? cuda_device(0, e) : NULL;
    if (s->dev)
        s->card = s->dev->stream(s->dev, &(StreamOptions){.precision = precision}, e);
    if (!s->card) {
        close_stream(&s->base);
        return NULL;
    }
    s->base = *s->card;
    s->base.k = &table;
    s->base.dev = s->host;
    s->base.close = close_stream;
    return &s->base;
}
