/* task/opt_lm.c: OPT behind a picture: prefill of several prompts at once, steps of any number of rows,
 * over one cache of token slots. */
#include "base/mem.h"
#include "task/lm.h"
#include "task/rows.h"

typedef struct OptLm {
    Lm base;
    const Blip2 *m;
    LiveRows rows;
} OptLm;

/* --- one pass through the network ---------------------------------------------------------------- */

/* The states of the last fresh[i] slots (NULL: 1 each) of n rows. */
static Tensor *run_rows(OptLm *l, Tensor *x, const int *row, int n, const int *fresh)
{
    Ctx *c = l->base.c;
    int *at;
    const CacheRows *cache = x ? rows_pass(&l->rows, c, row, n, fresh, KV_CAUSAL, &at) : NULL;
    return cache ? opt_forward(c, &l->m->opt, x, at, cache, 1) : NULL;
}

static Tensor *logits_of(OptLm *l, Tensor *states)
{
    return opt_logits(l->base.c, &l->m->opt, states);
}

/* --- prompts ------------------------------------------------------------------------------------- */

static int queries_of(const OptLm *l)
{
    return l->m->config.qformer.queries;
}

static int room(const Lm *lm, int n)
{
    return lm->prompt_max - n;
}

static long long slots_of(const OptLm *l, const LmPrompt *p)
{
    return queries_of(l) + (long long)p->n + (long long)p->rows * p->steps;
}

static bool reserve(OptLm *l, const LmPrompt *prompt, int n, Error *e)
{
    long long slots = 0;
    for (int i = 0; i < n; i++)
        slots += slots_of(l, &prompt[i]);
    return rows_reserve(&l->rows, slots, e);
}

static void release(Lm *lm, const LmPrompt *prompt)
{
    OptLm *l = (OptLm *)lm;
    rows_release(&l->rows, slots_of(l, prompt));
}

static void drop(Lm *lm, const int *row, int n)
{
    rows_drop(&((OptLm *)lm)->rows, row, n);
}

/* The state of each prompt's last row: what comes next follows from it. */
static Tensor *last_states(OptLm *l, Tensor *x, const int *fresh, int n)
{
    int *last = arena_alloc(&l->base.c->mem, sizeof *last * (size_t)n);
    if (!last)
        return ctx_fail(l->base.c, ERR_MEMORY, "prompt: out of memory");
    for (int i = 0, end = 0; i < n; i++) {
        end += fresh[i];
        last[i] = end - 1;
    }
    return gather_rows(l->base.c, x, NULL, last, n);
}

/* Slots for the prompts, then the states of all their rows; fresh[i] receives how many are prompt i's. */
static Tensor *read_rows(OptLm *l, const LmPrompt *prompt, int n, const int *row, int **fresh,
                         Error *e)
{
    Ctx *c = l->base.c;
    ctx_begin(c, ROLE_ENCODE);
    *fresh = arena_alloc(&c->mem, sizeof **fresh * (size_t)n);
    bool ok = *fresh || error_memory(e, "prompt", sizeof **fresh * (size_t)n);
    for (int i = 0; ok && i < n; i++) {
        (*fresh)[i] = queries_of(l) + prompt[i].n;
        ok = rows_append(&l->rows, row[i], (*fresh)[i], e);
    }
    return ok ? run_rows(l, lm_embed(c, &l->m->opt.tokens, prompt, n, queries_of(l)), row, n,
                         *fresh)
              : NULL;
}

static Tensor *prefill(Lm *lm, const LmPrompt *prompt, int n, int *row, Error *e)
{
    OptLm *l = (OptLm *)lm;
    int *fresh;
    if (!lm_check(lm, prompt, n, e) || !reserve(l, prompt, n, e))
        return NULL;
    bool rows_taken = rows_take(&l->rows, n, row, e);
    Tensor *x = rows_taken ? read_rows(l, prompt, n, row, &fresh, e) : NULL;
    Tensor *logits = x ? logits_of(l, last_states(l, x, fresh, n)) : NULL;
    if (logits)
        return logits;
    if (rows_taken) {
        drop(lm, row, n);
        lm_error(lm->c, e);
    }
    for (int i = 0; i < n; i++)
        release(lm, &prompt[i]);
    return NULL;
}

static Tensor *forward(Lm *lm, const LmPrompt *prompt, Error *e)
{
    OptLm *l = (OptLm *)lm;
    LmPrompt one = *prompt;
    int row, *fresh;
    one.rows = one.steps = 0;
    if (!lm_check(lm, &one, 1, e) || !reserve(l, &one, 1, e))
        return NULL;
    bool rows_taken = rows_take(&l->rows, 1, &row, e);
    Tensor *x = rows_taken ? read_rows(l, &one, 1, &row, &fresh, e) : NULL;
    Tensor *logits = tap(lm->c, logits_of(l, x), "logits");
    if (rows_taken)
        drop(lm, &row, 1);
    if (rows_taken && !logits)
        lm_error(lm->c, e);
    release(lm, &one);
    return logits;
}

/* --- steps --------------------------------------------------------------------------------------- */

static Tensor *advance(Lm *lm, int n, const int *parent, const int *ids, int *row, Error *e)
{
    OptLm *l = (OptLm *)lm;
    Ctx *c = lm->c;
    if (!rows_take(&l->rows, n, row, e))
        return NULL;
    ctx_begin(c, ROLE_DECODE);
    Tensor *x = rows_fork(&l->rows, n, parent, row, e)
                    ? run_rows(l, embed(c, &l->m->opt.tokens, ids, n), row, n, NULL)
                    : NULL;
    Tensor *logits = logits_of(l, x);
    if (logits)
        return logits;
    drop(lm, row, n);
    lm_error(c, e);
    return NULL;
}

/* --- begin and end ------------------------------------------------------------------------------- */

static void opt_lm_free(Lm *lm)
{
    OptLm *l = (OptLm *)lm;
    rows_free(&l->rows);
    mem_free(l);
}

Lm *opt_lm_new(Ctx *c, const Blip2 *m, Error *e)
{
    OptLm *l = mem_calloc(1, sizeof *l);
    if (!l) {
        error_memory(e, "language model", sizeof *l);
        return NULL;
    }
    l->base = (Lm){.vocab = m->config.opt.vocab,
                   .prompt_max = m->config.opt.positions - m->config.qformer.queries,
                   .start = -1,
                   .c = c,
                   .room = room,
                   .prefill = prefill,
                   .advance = advance,
                   .drop = drop,
                   .release = release,
                   .forward = forward,
                   .free = opt_lm_free};
    l->m = m;
    rows_init(&l->rows, c->on, m->config.opt.layers, m->config.opt.width);
    return &l->base;
}
