/* task/generate.c: the pool of items: joining, one step of all, leaving. */
#include "task/decode.h"

#include <string.h>

/* Prompts of one prefill: enough that the weights are read for many rows at once. Larger groups gain
 * nothing and want memory for all their activations. */
enum { PREFILL_ITEMS = 8 };

/* Rows of one step's pass, so that logits and activations do not grow with the number of items. An item
 * with more of its own is a pass by itself. */
enum { STEP_ROWS = 256 };

Generator *generator_new(Lm *lm, Error *e)
{
    size_t vocab = (size_t)lm->vocab;
    Generator *g = mem_calloc(1, sizeof *g);
    if (g) {
        g->lm = lm;
        g->s = (Scratch){.vocab = lm->vocab,
                         .row = mem_alloc(vocab * sizeof(float)),
                         .seen = mem_calloc(vocab, 1)};
        if (g->s.row && g->s.seen)
            return g;
        generator_free(g);
    }
    error_memory(e, "generator", vocab * sizeof(float));
    return NULL;
}

void generator_free(Generator *g)
{
    if (!g)
        return;
    while (g->items)
        generator_leave(g, g->items);
    mem_free(g->s.row);
    mem_free(g->s.seen);
    mem_free(g->s.history.v);
    mem_free(g->s.ids.v);
    mem_free(g->s.cand);
    mem_free(g->s.top);
    mem_free(g->running);
    mem_free(g->lists);
    mem_free(g);
}

/* --- an item ---------------------------------------------------------------------------------------- */

static int rows_of(const GenOptions *o)
{
    return o->num_beams > o->num_captions ? o->num_beams : o->num_captions;
}

static bool item_alloc(GenItem *it, int vocab)
{
    size_t rows = (size_t)it->max_rows;
    it->row = mem_alloc(rows * sizeof *it->row);
    it->scores = mem_calloc(rows, sizeof *it->scores);
    it->next = mem_alloc(rows * sizeof *it->next);
    it->out = mem_calloc((size_t)it->o.num_captions, sizeof *it->out);
    it->dense = it->o.sample ? mem_alloc(2 * rows * (size_t)vocab * sizeof(float)) : NULL;
    return it->row && it->scores && it->next && it->out && (it->dense || !it->o.sample);
}

/* Copies of the caller's lists in one block: history, then banned ids. */
static bool item_lists(GenItem *it, const GenRequest *r)
{
    size_t n = (size_t)r->n_history, banned = (size_t)r->options->n_banned;
    int *list = mem_alloc((n + banned) * sizeof *list);
    if (!list)
        return false;
    if (n)
        memcpy(list, r->history, n * sizeof *list);
    if (banned)
        memcpy(list + n, r->options->banned, banned * sizeof *list);
    it->history = list;
    it->o.banned = list + n;
    return true;
}

/* Room in the lists of a step for all there are, this one included. */
static bool reserve_lists(Generator *g, GenItem *it, Error *e)
{
    int rows = rows_of(&it->o);
    size_t all = g->n_rows + (size_t)rows;
    if (!MEM_GROW(g->running, &g->cap_running, g->n_items) ||
        !MEM_GROW(g->lists, &g->cap_lists, 3 * all))
        return error_memory(e, "step", 3 * all * sizeof *g->lists);
    it->max_rows = rows;
    g->n_rows = all;
    return true;
}

static bool item_prepare(Generator *g, GenItem *it, const GenRequest *r, Error *e)
{
    const Lm *lm = g->lm;
    if (!generate_check(r->options, lm->vocab, e) ||
        !generate_fits(lm, r->options, r->n_prompt, r->n_history, &it->room, e) ||
        !reserve_lists(g, it, e))
        return false;
    it->prompt = (LmPrompt){.image_embeds = r->image_embeds,
                            .ids = r->prompt,
                            .n = r->n_prompt,
                            .rows = it->max_rows,
                            .steps = it->room};
    it->search = r->options->num_beams > 1 ? &search_beams : &search_drafts;
    if (item_lists(it, r) && item_alloc(it, lm->vocab))
        return it->search->begin(it, e);
    return error_memory(e, "item", (unsigned long long)it->max_rows * (unsigned)lm->vocab * 4);
}

static void drop_rows(Generator *g, GenItem *it)
{
    if (it->n_rows)
        g->lm->drop(g->lm, it->row, it->n_rows);
    it->n_rows = 0;
}

/* The item runs no more: its slots are free again. */
static void item_stop(Generator *g, GenItem *it)
{
    drop_rows(g, it);
    if (it->running)
        g->lm->release(g->lm, &it->prompt);
    it->running = false;
}

/* What only a running item needs. */
static void free_work(GenItem *it)
{
    if (it->state)
        it->search->end(it);
    mem_free((void *)(uintptr_t)it->history);
    mem_free(it->paths.node);
    mem_free(it->row);
    mem_free(it->scores);
    mem_free(it->top);
    mem_free(it->dense);
    mem_free(it->next);
    it->history = it->row = NULL;
    it->o.banned = NULL;
    it->paths = (Paths){0};
    it->scores = NULL;
    it->top = NULL;
    it->dense = NULL;
    it->next = NULL;
}

static void item_fail(Generator *g, GenItem *it, const Error *why)
{
    item_stop(g, it);
    free_work(it);
    it->error = *why;
    error_set(&it->error, ERR_FAILED, "generation: failed"); /* when the callee said nothing */
}

static void forget_sequences(GenItem *it)
{
    for (int i = 0; it->out && i < it->o.num_captions; i++)
        mem_free(it->out[i].ids);
    mem_free(it->out);
    it->out = NULL;
}

/* All sequences or none. */
static void item_done(Generator *g, GenItem *it)
{
    Error e = {0};
    item_stop(g, it);
    if (!it->search->finish(it, &e)) {
        forget_sequences(it);
        it->error = e;
    }
    free_work(it);
}

void generator_leave(Generator *g, GenItem *it)
{
    if (!it)
        return;
    *(it->before ? &it->before->next_item : &g->items) = it->next_item;
    if (it->next_item)
        it->next_item->before = it->before;
    g->n_items--;
    g->n_rows -= (size_t)it->max_rows;
    item_stop(g, it);
    free_work(it);
    forget_sequences(it);
    mem_free(it);
}

bool gen_running(const GenItem *it)
{
    return it->running;
}

const Error *gen_error(const GenItem *it)
{
    return &it->error;
}

GenSequence *gen_sequences(const GenItem *it)
{
    return it->out && it->out->ids ? it->out : NULL;
}

/* --- scores --------------------------------------------------------------------------------------- */

/* Each item gets what its rows' logits say; one whose logits are bad fails alone. */
static void give_scores(Generator *g, Pass *p)
{
    for (int i = 0, at = 0; i < p->n; i++) {
        Error own = {0};
        int n = p->item[i]->n_rows;
        if (!pass_give(g, p, p->item[i], at, &own)) {
            item_fail(g, p->item[i], &own);
            g->lm->c->err = (Error){0}; /* the next one's copies are its own */
        }
        at += n;
    }
    pass_free(p);
}

/* --- joining ---------------------------------------------------------------------------------------- */

static bool prefill_together(Generator *g, GenItem **item, int n, Error *e)
{
    LmPrompt prompt[PREFILL_ITEMS] = {{0}};
    int row[PREFILL_ITEMS];
    for (int i = 0; i < n; i++)
        prompt[i] = item[i]->prompt;
    Pass p = {.item = item, .n = n, .logits = lm_prefill(g->lm, prompt, n, row, e)};
    if (!p.logits)
        return false;
    for (int i = 0; i < n; i++) {
        item[i]->row[0] = row[i];
        item[i]->n_rows = item[i]->n_next = 1;
        item[i]->running = true;
    }
    bool ok = pass_read(g, &p, e);
    for (int i = 0; !ok && i < n; i++)
        item_stop(g, item[i]);
    if (ok)
        give_scores(g, &p);
    return ok;
}

/* A group that fails as a whole is done again one by one, so that one item's trouble stays its own. */
static void prefill(Generator *g, GenItem **item, int n)
{
    Error e = {0};
    if (n == 0 || prefill_together(g, item, n, &e))
        return;
    if (n == 1)
        item_fail(g, item[0], &e);
    for (int i = 0; n > 1 && i < n; i++)
        prefill(g, &item[i], 1);
}

static GenItem *item_new(Generator *g, const GenRequest *r)
{
    GenItem *it = mem_calloc(1, sizeof *it);
    if (!it)
        return NULL;
    it->o = *r->options;
    it->o.banned = NULL;
    it->n_history = r->n_history;
    it->on_token = r->on_token;
    it->user = r->user;
    it->next_item = g->items;
    if (g->items)
        g->items->before = it;
    g->items = it;
    g->n_items++;
    return it;
}

static bool items_new(Generator *g, const GenRequest *request, int n, GenItem **item, Error *e)
{
    for (int i = 0; i < n; i++) {
        item[i] = item_new(g, &request[i]);
        if (!item[i]) {
            while (i-- > 0)
                generator_leave(g, item[i]);
            return error_memory(e, "items", (size_t)n * sizeof **item);
        }
    }
    return true;
}

bool generator_join(Generator *g, const GenRequest *request, int n, GenItem **item, Error *e)
{
    GenItem *group[PREFILL_ITEMS];
    int size = 0;
    if (!items_new(g, request, n, item, e))
        return false;
    for (int i = 0; i < n; i++) {
        Error own = {0};
        if (item_prepare(g, item[i], &request[i], &own))
            group[size++] = item[i];
        else
            item_fail(g, item[i], &own);
        if (size == PREFILL_ITEMS || i == n - 1) {
            prefill(g, group, size);
            size = 0;
        }
    }
    return true;
}

/* --- a step ----------------------------------------------------------------------------------------- */

static void choose_all(Generator *g)
{
    for (GenItem *it = g->items; it; it = it->next_item) {
        Error e = {0};
        if (!it->running)
            continue;
        it->n_next = 0;
        if (!it->search->choose(it, &g->s, &e) && e.code != ERR_STOPPED) {
            item_fail(g, it, &e);
        } else if (e.code || it->n_next == 0) {
            it->error = e;
            item_done(g, it);
        }
    }
}

typedef struct Advance {
    int *parent, *ids, *row;
    int n;
} Advance;

static void gather_next(const GenItem *it, Advance *a)
{
    for (int i = 0; i < it->n_next; i++, a->n++) {
        a->parent[a->n] = it->row[it->next[i].row];
        a->ids[a->n] = it->next[i].id;
    }
}

/* The new rows take the place of the old ones. */
static void take_rows(Generator *g, GenItem *it, const int *row)
{
    drop_rows(g, it);
    memcpy(it->row, row, (size_t)it->n_next * sizeof *row);
    it->n_rows = it->n_next;
}

/* false: nothing has changed. */
static bool advance_items(Generator *g, GenItem **item, int n, Advance *a, Error *e)
{
    a->n = 0;
    for (int i = 0; i < n; i++)
        gather_next(item[i], a);
    Pass p = {.item = item, .n = n};
    p.logits = lm_advance(g->lm, a->n, a->parent, a->ids, a->row, e);
    if (!p.logits)
        return error_set(e, ERR_FAILED, "language model: step failed");
    if (!pass_read(g, &p, e)) {
        g->lm->drop(g->lm, a->row, a->n);
        return false;
    }
    for (int i = 0, at = 0; i < n; at += item[i]->n_next, i++)
        take_rows(g, item[i], a->row + at);
    give_scores(g, &p);
    return true;
}

/* What fails together is tried item by item. */
static void advance_each(Generator *g, GenItem **item, int n, Advance *a)
{
    Error e = {0};
    if (n == 0 || advance_items(g, item, n, a, &e))
        return;
    if (n == 1)
        item_fail(g, item[0], &e);
    for (int i = 0; n > 1 && i < n; i++)
        advance_each(g, &item[i], 1, a);
}

/* All that run, in passes of at most STEP_ROWS rows. */
static void advance_running(Generator *g)
{
    size_t room = g->n_rows;
    Advance a = {.parent = g->lists, .ids = g->lists + room, .row = g->lists + 2 * room};
    int n = 0, rows = 0;
    for (GenItem *it = g->items; it; it = it->next_item) {
        if (!it->running)
            continue;
        if (n && rows + it->n_next > STEP_ROWS) {
            advance_each(g, g->running, n, &a);
            n = rows = 0;
        }
        g->running[n++] = it;
        rows += it->n_next;
    }
    advance_each(g, g->running, n, &a);
}

int generator_step(Generator *g)
{
    int running = 0;
    choose_all(g);
    advance_running(g);
    for (const GenItem *it = g->items; it; it = it->next_item)
        running += it->running;
    return running;
}
