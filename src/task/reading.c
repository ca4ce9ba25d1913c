/* task/reading.c: see task/reading.h. */
#include "task/reading.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/caption.h"

static int image_index(Reading *r, const Encoded *image)
{
    for (int i = 0; i < r->images; i++)
        if (r->image[i] == image)
            return i;
    r->image[r->images] = image;
    return r->images++;
}

void reading_add(Reading *r, const Encoded *image, const int *ids, int n)
{
    r->seq[r->n++] = (QformerSeq){.image = image ? image_index(r, image) : -1, .ids = ids, .n = n};
}

/* The tokens of all pictures, one picture after another. */
static Tensor *images_of(Ctx *c, const Reading *r, int *tokens)
{
    Tensor *part[READING_MOST];
    for (int i = 0; i < r->images; i++) {
        const Tensor *t = &r->image[i]->part[ENCODED_VISION];
        part[i] = tensor_of(c, t);
        if (i > 0 && *tokens != t->rows)
            return ctx_fail(c, ERR_USAGE, "pictures: expected all of one size");
        *tokens = t->rows;
    }
    return concat(c, part, r->images);
}

Tensor *reading_run(Ctx *c, const Qformer *q, const Reading *r)
{
    int tokens = 0;
    Tensor *image = r->images ? images_of(c, r, &tokens) : NULL;
    return image || !r->images ? qformer_read(c, q, image, tokens, r->seq, r->n) : NULL;
}

int reading_row(const Reading *r, const Qformer *q, int i, int *n)
{
    int row = 0;
    *n = 0;
    for (int k = 0; k <= i; k++) {
        row += *n;
        *n = r->seq[k].n + (r->seq[k].image < 0 ? 0 : q->config.queries);
    }
    return row;
}

Tensor *reading_heads(Ctx *c, const Qformer *q, const Reading *r, Tensor *states, int n)
{
    int *from = arena_alloc(&c->mem, sizeof *from * (size_t)(r->n * n)), all;
    if (!from)
        return ctx_fail(c, ERR_MEMORY, "texts: out of memory");
    for (int i = 0; i < r->n; i++)
        for (int k = 0, row = reading_row(r, q, i, &all); k < n; k++)
            from[i * n + k] = row + k;
    return gather_rows(c, states, NULL, from, r->n * n);
}

/* As LAVIS' data sets and notebooks hand texts to its models, whose tokenizers cut them. */
static bool lavis_ids(const Tokenizer *t, const char *text, Ids *out, char *notice, Error *e)
{
    StrBuf clean = {0};
    char told[128];
    bool ok = caption_clean(text, strlen(text), CAPTION_WORDS, &clean) ||
              error_memory(e, "text", strlen(text));
    ok = ok && tokenizer_encode(t, clean.data ? clean.data : "", clean.len, true, false, out, e);
    strbuf_free(&clean);
    if (!ok || out->n <= LAVIS_PROMPT_IDS)
        return ok;
    snprintf(told, sizeof told,
             "text: cut to %d of %zu tokens, as LAVIS does (the rules of hf keep all)",
             LAVIS_PROMPT_IDS, out->n);
    note_append(notice, 256, told);
    tokenizer_truncate(t, out, LAVIS_PROMPT_IDS, false);
    return true;
}

bool reading_ids(const Engine *en, const char *text, Library library, Ids *out, char *notice,
                 Error *e)
{
    int positions = en->net->config.qformer.positions;
    const Tokenizer *t = en->tokenizer;
    if (!text)
        return error_set(e, ERR_USAGE, "text: expected one, got NULL");
    long fault = utf8_invalid(text, strlen(text));
    if (fault >= 0)
        return error_set(e, ERR_USAGE, "text: invalid UTF-8 at byte %ld", fault);
    if (!t)
        return error_set(e, ERR_BAD_MODEL, "%s", "tokenizer: expected one, got none");
    if (!(library == LIB_LAVIS ? lavis_ids(t, text, out, notice, e)
                               : tokenizer_encode(t, text, strlen(text), true, false, out, e)))
        return false;
    return out->n <= (size_t)positions ||
           error_set(e, ERR_FAILED, "text: expected at most %d tokens, got %zu", positions, out->n);
}

bool reading_check(const QformerConfig *k, const int *ids, int n, Error *e)
{
    if (n < 1 || n > k->positions)
        return error_set(e, ERR_FAILED, "text: expected 1 to %d tokens, got %d", k->positions, n);
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= k->vocab)
            return error_set(e, ERR_FAILED,
                             "text: token %d: expected an id below the vocabulary's %d, got %d", i,
                             k->vocab, ids[i]);
    return true;
}
