/* A language model that is a formula (tests/data/generate/reference.py has the same one): logits
 * depend on the last two ids, the length and the item's salt; possible end ids get a bonus. It is an Lm
 * that checks how it is called: only live rows are continued and dropped, each once; only what was
 * started is released, once and without rows; nothing is left at the end. */
#ifndef TEST_GENERATE_H
#define TEST_GENERATE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"
#include "cpu/cpu.h"
#include "task/generate.h"

enum { FORMULA_VOCAB = 40, FORMULA_ROWS = 4096, FORMULA_PROMPTS = 256 };

/* What an item continues. As a picture and a prompt it is its own address and the history's ids. */
typedef struct FormulaText {
    Tensor embeds; /* first: the generator hands its address on */
    uint32_t salt;
    const int *history;
    int n_history;
    float bad; /* not 0: behind bad_at ids id 7 has this logit, or all have when it is -inf */
    int bad_at;
    bool failed; /* a call for it alone was made to fail */
} FormulaText;

typedef struct FormulaRow {
    FormulaText *text; /* NULL: the row is free */
    int prompt;
    int length, before, last;
    int fed;
} FormulaRow;

/* What was started and not yet released. */
typedef struct FormulaPrompt {
    LmPrompt p;
    bool open;
    int rows; /* live */
} FormulaPrompt;

typedef struct Formula {
    Lm lm; /* first */
    Device *dev;
    Stream *on;
    Ctx c;
    FormulaRow row[FORMULA_ROWS];
    FormulaPrompt prompt[FORMULA_PROMPTS];
    int rows, prompts, next;                /* live, open; where the next free row is looked for */
    int starts, calls, most_fed, most_rows; /* most_rows: of a call of advance */
    int feed;                               /* ids that can be fed */
    float spread;                           /* logits lie in [0, spread) */
    float bonus;                            /* and this more for the ids 5, 9 and 13 */
    int fail_at;                            /* this call of advance reports an error; 0: none */
    double fail_chance;                     /* of each call of start and advance: out of memory */
    uint64_t fail_number;                   /* of the draws for it */
} Formula;

static uint32_t formula_mix(uint32_t h)
{
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    return h ^ (h >> 16);
}

static void formula_logits(const Formula *f, const FormulaRow *r, float *out)
{
    const FormulaText *t = r->text;
    uint32_t h = formula_mix(formula_mix(t->salt) + (uint32_t)r->length);
    h = formula_mix(h + (uint32_t)r->before);
    h = formula_mix(h + (uint32_t)r->last);
    for (int i = 0; i < FORMULA_VOCAB; i++)
        out[i] = (float)(formula_mix(h + (uint32_t)i) & 0xfffff) * f->spread / 0x1p20f +
                 (i == 5 || i == 9 || i == 13 ? f->bonus : 0);
    if (t->bad == 0 || t->bad_at != r->fed)
        return;
    for (int i = 0; i < FORMULA_VOCAB; i++)
        if (i == 7 || t->bad == -(float)INFINITY)
            out[i] = t->bad;
}

/* --- rows ----------------------------------------------------------------------------------------- */

static int formula_take(Formula *f, FormulaRow row)
{
    assert_true(f->rows < FORMULA_ROWS);
    while (f->row[f->next].text)
        f->next = (f->next + 1) % FORMULA_ROWS;
    int handle = f->next;
    f->next = (f->next + 1) % FORMULA_ROWS;
    f->row[handle] = row;
    f->prompt[row.prompt].rows++;
    f->rows++;
    return handle;
}

static FormulaRow *formula_row(Formula *f, int handle)
{
    assert_in_range(handle, 0, FORMULA_ROWS - 1);
    assert_non_null(f->row[handle].text);
    return &f->row[handle];
}

static void formula_drop(Lm *lm, const int *row, int n)
{
    Formula *f = (Formula *)lm;
    assert_true(n >= 1);
    for (int i = 0; i < n; i++) {
        FormulaRow *r = formula_row(f, row[i]);
        f->prompt[r->prompt].rows--;
        r->text = NULL;
        f->rows--;
    }
}

/* --- calls ---------------------------------------------------------------------------------------- */

/* alone: the item that the call is for, NULL when it is for several. */
static bool formula_fails(Formula *f, FormulaText *alone, Error *e)
{
    if (f->fail_chance > 0 && rng_unit(99, f->fail_number++) < f->fail_chance) {
        if (alone)
            alone->failed = true;
        return !error_set(e, ERR_MEMORY, "formula: no memory on purpose");
    }
    return false;
}

static Tensor *formula_upload(Formula *f, int n, const FormulaRow *row, Error *e)
{
    float *x = malloc((size_t)n * FORMULA_VOCAB * sizeof *x);
    for (int i = 0; i < n; i++)
        formula_logits(f, &row[i], x + i * FORMULA_VOCAB);
    ctx_begin(&f->c, ROLE_DECODE);
    Tensor *t = tensor_upload(&f->c, x, n, FORMULA_VOCAB);
    free(x);
    if (!t)
        error_set(e, f->c.err.code, "%s", f->c.err.message);
    return t;
}

static int formula_open_prompt(Formula *f, const LmPrompt *p)
{
    int i = 0;
    while (i < FORMULA_PROMPTS && f->prompt[i].open)
        i++;
    assert_in_range(i, 0, FORMULA_PROMPTS - 1);
    f->prompt[i] = (FormulaPrompt){*p, true, 0};
    f->prompts++;
    return i;
}

static FormulaRow formula_first(const LmPrompt *p)
{
    int n = p->n;
    FormulaText *t = (FormulaText *)(uintptr_t)p->image_embeds;
    assert_ptr_equal(p->image_embeds, &t->embeds);
    assert_true(n >= 1 && p->rows >= 1 && p->steps >= 1);
    return (FormulaRow){
        .text = t, .length = n, .before = n > 1 ? p->ids[n - 2] : 0, .last = p->ids[n - 1]};
}

static Tensor *formula_prefill(Lm *lm, const LmPrompt *prompt, int n, int *row, Error *e)
{
    Formula *f = (Formula *)lm;
    FormulaRow first[16] = {{0}};
    assert_in_range(n, 1, 16);
    f->starts++;
    for (int i = 0; i < n; i++)
        first[i] = formula_first(&prompt[i]);
    Tensor *t =
        formula_fails(f, n == 1 ? first[0].text : NULL, e) ? NULL : formula_upload(f, n, first, e);
    for (int i = 0; t && i < n; i++) {
        first[i].prompt = formula_open_prompt(f, &prompt[i]);
        row[i] = formula_take(f, first[i]);
    }
    return t;
}

/* No item gets more rows in a pass than it has said. */
static void formula_count(const Formula *f, const FormulaRow *row, int n)
{
    int of[FORMULA_PROMPTS] = {0};
    for (int i = 0; i < n; i++)
        assert_true(++of[row[i].prompt] <= f->prompt[row[i].prompt].p.rows);
}

static FormulaRow formula_next(Formula *f, int parent, int id)
{
    const FormulaRow *p = formula_row(f, parent);
    assert_true(id >= 0 && id < FORMULA_VOCAB);
    FormulaRow r = {p->text, p->prompt, p->length + 1, p->last, id, p->fed + 1};
    assert_true(r.fed <= f->prompt[r.prompt].p.steps);
    f->most_fed = r.fed > f->most_fed ? r.fed : f->most_fed;
    return r;
}

static Tensor *formula_advance(Lm *lm, int n, const int *parent, const int *ids, int *row, Error *e)
{
    Formula *f = (Formula *)lm;
    static FormulaRow next[FORMULA_ROWS];
    FormulaText *alone;
    assert_in_range(n, 1, FORMULA_ROWS);
    for (int i = 0; i < n; i++)
        next[i] = formula_next(f, parent[i], ids[i]);
    formula_count(f, next, n);
    alone = next[0].text;
    for (int i = 1; i < n; i++)
        alone = next[i].prompt == next[0].prompt ? alone : NULL;
    f->calls++;
    f->most_rows = n > f->most_rows ? n : f->most_rows;
    if (f->calls == f->fail_at)
        error_set(e, ERR_BAD_MODEL, "formula: broken on purpose");
    bool fails = f->calls == f->fail_at || formula_fails(f, alone, e);
    Tensor *t = fails ? NULL : formula_upload(f, n, next, e);
    for (int i = 0; t && i < n; i++)
        row[i] = formula_take(f, next[i]);
    return t;
}

static bool formula_same_prompt(const LmPrompt *a, const LmPrompt *b)
{
    return a->image_embeds == b->image_embeds && a->n == b->n && a->rows == b->rows &&
           a->steps == b->steps;
}

static void formula_release(Lm *lm, const LmPrompt *prompt)
{
    Formula *f = (Formula *)lm;
    for (int i = 0; i < FORMULA_PROMPTS; i++) {
        FormulaPrompt *p = &f->prompt[i];
        if (!p->open || p->rows || !formula_same_prompt(&p->p, prompt))
            continue;
        p->open = false;
        f->prompts--;
        return;
    }
    fail_msg("release of what was not started, or still has rows");
}

static int formula_room(const Lm *lm, int n)
{
    (void)n;
    return ((const Formula *)lm)->feed;
}

/* --- begin and end -------------------------------------------------------------------------------- */

static Formula *formula_new(void)
{
    Formula *f = calloc(1, sizeof *f);
    Error e = {0};
    f->dev = cpu_device(&e);
    f->on = f->dev ? f->dev->stream(f->dev, &(StreamOptions){.threads = 1}, &e) : NULL;
    if (!f->on)
        fail_msg("%s", e.message);
    ctx_init(&f->c, f->on);
    f->spread = 6;
    f->feed = 1000;
    f->lm = (Lm){.vocab = FORMULA_VOCAB,
                 .prompt_max = 1000,
                 .start = -1,
                 .c = &f->c,
                 .room = formula_room,
                 .prefill = formula_prefill,
                 .advance = formula_advance,
                 .drop = formula_drop,
                 .release = formula_release};
    return f;
}

static void formula_free(Formula *f)
{
    assert_int_equal(f->rows, 0);
    assert_int_equal(f->prompts, 0);
    ctx_free(&f->c);
    f->on->close(f->on);
    f->dev->close(f->dev);
    free(f);
}

/* --- items ---------------------------------------------------------------------------------------- */

/* Options that change nothing: greedy, 14 new ids at most, end id 5. */
static GenOptions neutral_options(Library library)
{
    return (GenOptions){.library = library,
                        .num_beams = 1,
                        .num_captions = 1,
                        .max_new_tokens = 14,
                        .length_penalty = 1,
                        .repetition_penalty = 1,
                        .top_p = 1,
                        .temperature = 1,
                        .eos = {5},
                        .n_eos = 1};
}

static GenRequest formula_request(FormulaText *t, const GenOptions *o)
{
    return (GenRequest){.image_embeds = &t->embeds,
                        .prompt = t->history,
                        .n_prompt = t->n_history,
                        .history = t->history,
                        .n_history = t->n_history,
                        .options = o};
}

static void sequences_free(GenSequence *s, int n)
{
    for (int i = 0; i < n; i++) {
        mem_free(s[i].ids);
        s[i] = (GenSequence){0};
    }
}

/* Takes what an item that ended has given; its error. */
static Error item_result(const GenItem *it, int captions, GenSequence *out)
{
    GenSequence *s = gen_sequences(it);
    Error e = *gen_error(it);
    assert_false(gen_running(it));
    assert_true(e.code && e.code != ERR_STOPPED ? !s : s != NULL);
    for (int i = 0; s && i < captions; i++) {
        out[i] = s[i];
        s[i].ids = NULL;
    }
    return e;
}

/* All items join at once and run to their end. Item i's sequences from out[i * each] on (freed with
 * sequences_free), its error in error[i]; false: they could not join. */
static bool run_formula(Formula *f, const GenRequest *r, int n, GenSequence *out, int each,
                        Error *error, Error *e)
{
    GenItem *item[64] = {0};
    assert_in_range(n, 0, 64);
    Generator *g = generator_new(&f->lm, e);
    if (!g)
        return false;
    bool ok = generator_join(g, r, n, item, e);
    while (ok && generator_step(g) > 0) {
    }
    for (int i = 0; ok && i < n; i++)
        error[i] = item_result(item[i], r[i].options->num_captions, out + i * each);
    generator_free(g);
    return ok;
}

/* One item alone, which must succeed. */
static void run_alone(Formula *f, FormulaText *t, const GenOptions *o, GenSequence *out)
{
    GenRequest r = formula_request(t, o);
    Error error = {0}, e = {0};
    assert_true(run_formula(f, &r, 1, out, 0, &error, &e));
    if (error.code)
        fail_msg("%s", error.message);
}

#endif
