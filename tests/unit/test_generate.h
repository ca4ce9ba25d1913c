/* A language model that is a formula (tests/data/generate/reference.py has the same one): logits
 * depend on the last two ids, the length and the item's salt; possible end ids get a bonus. Checks how it is called. */
#ifndef TEST_GENERATE_H
#define TEST_GENERATE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "task/generate.h"

enum { FORMULA_VOCAB = 40, FORMULA_ROWS = 256 };

typedef struct FormulaRow {
    uint32_t salt;
    int length, before, last;
    int fed;
} FormulaRow;

typedef struct Formula {
    FormulaRow row[FORMULA_ROWS];
    int rows, calls, most_fed;
    float spread; /* logits lie in [0, spread) */
    float bonus;  /* and this more for the ids 5, 9 and 13 */
    int fail_at;  /* this call of advance reports an error; 0: none */
    int nan_at;   /* from this call on row 0 has a NaN; 0: none */
} Formula;

static uint32_t formula_mix(uint32_t h)
{
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    return h ^ (h >> 16);
}

static void formula_logits(const Formula *f, const FormulaRow *r, float *out)
{
    uint32_t h = formula_mix(formula_mix(r->salt) + (uint32_t)r->length);
    h = formula_mix(h + (uint32_t)r->before);
    h = formula_mix(h + (uint32_t)r->last);
    for (int i = 0; i < FORMULA_VOCAB; i++)
        out[i] = (float)(formula_mix(h + (uint32_t)i) & 0xfffff) * f->spread / 0x1p20f +
                 (i == 5 || i == 9 || i == 13 ? f->bonus : 0);
}

static bool formula_advance(void *self, int n, const int *parent, const int *ids, float *logits,
                            Error *e)
{
    Formula *f = self;
    FormulaRow next[FORMULA_ROWS];
    assert_in_range(n, 1, FORMULA_ROWS);
    f->calls++;
    if (f->calls == f->fail_at)
        return error_set(e, ERR_BAD_MODEL, "formula: broken on purpose");
    for (int i = 0; i < n; i++) {
        assert_true(parent[i] >= 0 && parent[i] < f->rows);
        assert_true(ids[i] >= 0 && ids[i] < FORMULA_VOCAB);
        FormulaRow p = f->row[parent[i]];
        next[i] = (FormulaRow){p.salt, p.length + 1, p.last, ids[i], p.fed + 1};
        if (next[i].fed > f->most_fed)
            f->most_fed = next[i].fed;
        formula_logits(f, &next[i], logits + i * FORMULA_VOCAB);
    }
    if (f->nan_at && f->calls >= f->nan_at)
        logits[7] = (float)NAN;
    memcpy(f->row, next, (size_t)n * sizeof(*next));
    f->rows = n;
    return true;
}

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
                        .n_eos = 1,
                        .pad = 1};
}

/* Item i has salt[i] and its own history. The caller frees out with generate_free. */
static bool run_formula(Formula *f, int max_new, const uint32_t *salt, const GenItem *item,
                        int items, const GenOptions *o, GenToken on_token, void *user,
                        GenSequence *out, Error *e)
{
    float logits[16 * FORMULA_VOCAB];
    assert_in_range(items, 0, 16);
    if (f->spread == 0)
        f->spread = 6;
    f->rows = items;
    for (int i = 0; i < items; i++) {
        const GenItem *it = &item[i];
        int n = it->n_history;
        f->row[i] = (FormulaRow){salt[i], n, n > 1 ? it->history[n - 2] : 0, it->history[n - 1], 0};
        formula_logits(f, &f->row[i], logits + i * FORMULA_VOCAB);
    }
    Lm lm = {f, FORMULA_VOCAB, max_new, formula_advance};
    return generate(&lm, logits, item, items, o, on_token, user, out, e);
}

#endif
