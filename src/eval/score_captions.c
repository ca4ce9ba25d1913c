/* eval/score_captions.c: COCO's caption evaluation (pycocoevalcap's eval.py) over files. */
#include <stdio.h>
#include <string.h>

#include "eval/caption_metrics.h"
#include "eval/external.h"
#include "eval/keys.h"
#include "eval/lines.h"
#include "eval/ptb.h"
#include "eval/score.h"

#include "base/items.h"

enum { CAPTION_BYTES = 16384 };

typedef struct Text {
    const char *data;
    size_t n;
} Text;

typedef struct Reference {
    Text text;
    struct Reference *next;
} Reference;

typedef struct Image {
    Text candidate; /* data NULL: none */
    Reference *first, *last;
    size_t count;
    uint32_t domain; /* NO_WORD: none */
} Image;

typedef struct Work {
    const ScoreFiles *f;
    Keys ids, domains;
    Image *images; /* by number of the id */
    size_t cap;
    Arena text;
    Ptb *ptb;
} Work;

/* --- reading -------------------------------------------------------------------------------------- */

static Image *image_of(Work *w, const json_t *item, const char *key, const char *where, Error *e)
{
    bool fresh;
    uint32_t at = keys_add(&w->ids, item, key, &fresh, where, e);
    if (at == NO_WORD)
        return NULL;
    if (!MEM_GROW(w->images, &w->cap, at + 1u)) {
        error_memory(e, where, at);
        return NULL;
    }
    if (fresh)
        w->images[at] = (Image){.domain = NO_WORD};
    return &w->images[at];
}

static bool add_image(void *self, const json_t *item, const char *where, Error *e)
{
    Work *w = self;
    bool fresh;
    Image *image = image_of(w, item, "id", where, e);
    if (!image || !json_is_string(json_object_get(item, "domain")))
        return image != NULL;
    image->domain = keys_add(&w->domains, item, "domain", &fresh, where, e);
    return image->domain != NO_WORD;
}

static bool keep_caption(Work *w, const json_t *item, Text *out, const char *where, Error *e)
{
    const json_t *v = item_text(item, "caption", where, e);
    if (!v)
        return false;
    out->n = json_string_length(v);
    if (out->n > CAPTION_BYTES)
        return error_set(e, ERR_FAILED, "%s: caption: expected at most %d bytes, got %zu", where,
                         CAPTION_BYTES, out->n);
    char *copy = arena_alloc(&w->text, out->n + 1);
    if (!copy)
        return error_memory(e, where, out->n);
    memcpy(copy, json_string_value(v), out->n);
    out->data = copy;
    return true;
}

static bool add_reference(void *self, const json_t *item, const char *where, Error *e)
{
    Work *w = self;
    Image *image = image_of(w, item, "image_id", where, e);
    Reference *r = image ? arena_calloc(&w->text, sizeof *r) : NULL;
    if (!r)
        return image && error_memory(e, where, sizeof *r);
    if (!keep_caption(w, item, &r->text, where, e))
        return false;
    if (image->last)
        image->last->next = r;
    else
        image->first = r;
    image->last = r;
    image->count++;
    return true;
}

static bool add_candidate(void *self, const json_t *item, const char *where, Error *e)
{
    Work *w = self;
    uint32_t at = keys_find(&w->ids, item, "image_id", "the ground truth's", where, e);
    if (at == NO_WORD)
        return false;
    if (w->images[at].candidate.data && w->f->count == 1)
        return error_set(e, ERR_FAILED, "%s: image_id: expected each once, got %s again", where,
                         keys_text(&w->ids, at));
    if (w->images[at].candidate.data)
        return true;
    return keep_caption(w, item, &w->images[at].candidate, where, e);
}

/* Every picture needs references, and a prediction unless those without are left out. */
static bool check_images(const Work *w, Error *e)
{
    size_t missing = 0, first = 0;
    for (size_t i = 0; i < w->ids.words.count; i++) {
        if (w->images[i].count == 0)
            return error_set(e, ERR_FAILED, "%s: image %s: expected captions, got none",
                             w->f->truth, keys_text(&w->ids, (uint32_t)i));
        if (!w->images[i].candidate.data && missing++ == 0)
            first = i;
    }
    if (w->ids.words.count == 0)
        return error_set(e, ERR_FAILED, "%s: images: expected some, got none", w->f->truth);
    if (missing == w->ids.words.count)
        return error_set(e, ERR_FAILED, "%s: captions: expected some, got none", w->f->results[0]);
    if (!missing || w->f->only_predicted)
        return true;
    return error_set(
        e, ERR_FAILED, "%s: image %s: expected a caption, got none; %zu of %zu pictures have none",
        w->f->results[0], keys_text(&w->ids, (uint32_t)first), missing, w->ids.words.count);
}

static bool read_files(Work *w, Error *e)
{
    const ScoreFiles *f = w->f;
    bool ok = items_each(f->truth, "images", false, add_image, w, e) &&
              items_each(f->truth, "annotations", true, add_reference, w, e);
    for (size_t i = 0; ok && i < f->count; i++)
        ok = items_each(f->results[i], NULL, true, add_candidate, w, e);
    return ok && check_images(w, e);
}

/* --- tokens --------------------------------------------------------------------------------------- */

/* What is evaluated: of a domain (NO_WORD: of all) those with a prediction. */
static bool is_in(const Work *w, size_t i, uint32_t domain)
{
    return w->images[i].candidate.data && (domain == NO_WORD || w->images[i].domain == domain);
}

/* Lines become tokens, a line each, zero-terminated each instead of the end of the line. */
static bool tokenize(Work *w, StrBuf *lines, StrBuf *tokens, Error *e)
{
    StrBuf raw = {0};
    bool ok;
    if (lines->failed)
        return error_memory(e, "captions", lines->cap);
    if (w->f->ptb_jar) {
        ok = jar_tokenize(w->f->ptb_jar, lines->data, lines->len, &raw, e);
        if (ok)
            ptb_leave_out(raw.data, raw.len, tokens);
        strbuf_free(&raw);
    } else {
        ok = ptb_tokenize(w->ptb, lines->data, lines->len, tokens, e);
    }
    if (ok && tokens->failed)
        return error_memory(e, "captions", tokens->cap);
    for (size_t i = 0; ok && i < tokens->len; i++)
        if (tokens->data[i] == '\n')
            tokens->data[i] = 0;
    return ok;
}

typedef struct Corpus {
    StrBuf candidates, references; /* tokens */
    const char **lists;            /* of all references */
    CaptionCase *cases;
    size_t count;
} Corpus;

static void corpus_free(Corpus *c)
{
    strbuf_free(&c->candidates);
    strbuf_free(&c->references);
    mem_free(c->lists);
    mem_free(c->cases);
}

/* The reference gives all references to its tokenizer at once, then all candidates. */
static bool make_tokens(Work *w, uint32_t domain, Corpus *c, size_t *references, Error *e)
{
    StrBuf candidates = {0}, texts = {0};
    *references = 0;
    for (size_t i = 0; i < w->ids.words.count; i++) {
        if (!is_in(w, i, domain))
            continue;
        c->count++;
        *references += w->images[i].count;
        line_add(&candidates, w->images[i].candidate.data, w->images[i].candidate.n);
        for (const Reference *r = w->images[i].first; r; r = r->next)
            line_add(&texts, r->text.data, r->text.n);
    }
    bool ok = tokenize(w, &texts, &c->references, e) && tokenize(w, &candidates, &c->candidates, e);
    strbuf_free(&texts);
    strbuf_free(&candidates);
    return ok;
}

static bool make_corpus(Work *w, uint32_t domain, Corpus *c, Error *e)
{
    size_t references, used = 0, at = 0;
    if (!make_tokens(w, domain, c, &references, e))
        return false;
    c->lists = mem_alloc(references * sizeof *c->lists);
    c->cases = mem_alloc(c->count * sizeof *c->cases);
    if (!c->lists || !c->cases)
        return error_memory(e, "captions", references * sizeof *c->lists);
    const char *candidate = c->candidates.data, *reference = c->references.data;
    for (size_t i = 0; i < w->ids.words.count; i++) {
        if (!is_in(w, i, domain))
            continue;
        c->cases[at++] = (CaptionCase){candidate, c->lists + used, w->images[i].count};
        candidate += strlen(candidate) + 1;
        for (size_t k = 0; k < w->images[i].count; k++) {
            c->lists[used++] = reference;
            reference += strlen(reference) + 1;
        }
    }
    return true;
}

/* --- metrics -------------------------------------------------------------------------------------- */

typedef bool ExternalFn(const char *jar, const CaptionCase *cases, size_t n, double *corpus,
                        Error *e);

static bool add_external(const Corpus *c, const char *group, const char *name, ExternalFn *fn,
                         const char *jar, Metrics *out, Error *e)
{
    double value;
    if (!jar)
        return metrics_add_missing(out, group, name, e);
    return fn(jar, c->cases, c->count, &value, e) && metrics_add(out, group, name, value, e);
}

static bool add_metrics(const Work *w, const Corpus *c, const char *group, Metrics *out, Error *e)
{
    double bleu[NGRAMS], rouge, cider;
    char name[8];
    if (!bleu_score(c->cases, c->count, bleu, NULL, e) ||
        !rouge_l_score(c->cases, c->count, &rouge, NULL, e) ||
        !cider_score(c->cases, c->count, &cider, NULL, e))
        return false;
    for (int n = 0; n < NGRAMS; n++) {
        snprintf(name, sizeof name, "Bleu_%d", n + 1);
        if (!metrics_add(out, group, name, bleu[n], e))
            return false;
    }
    return add_external(c, group, "METEOR", jar_meteor, w->f->meteor_jar, out, e) &&
           metrics_add(out, group, "ROUGE_L", rouge, e) &&
           metrics_add(out, group, "CIDEr", cider, e) &&
           add_external(c, group, "SPICE", jar_spice, w->f->spice_jar, out, e) &&
           metrics_add(out, group, "agg_metrics", cider + bleu[NGRAMS - 1], e);
}

static bool evaluate(Work *w, uint32_t domain, Metrics *out, Error *e)
{
    Corpus c = {0};
    const char *group = domain == NO_WORD ? "" : keys_text(&w->domains, domain);
    bool ok = make_corpus(w, domain, &c, e) && add_metrics(w, &c, group, out, e);
    corpus_free(&c);
    return ok;
}

static bool has_pictures(const Work *w, uint32_t domain)
{
    for (size_t i = 0; i < w->ids.words.count; i++)
        if (is_in(w, i, domain))
            return true;
    return false;
}

bool score_captions(const ScoreFiles *f, Metrics *out, Error *e)
{
    Work w = {.f = f};
    bool ok = read_files(&w, e) && (w.ptb = ptb_new(e)) && evaluate(&w, NO_WORD, out, e);
    for (uint32_t d = 0; ok && d < w.domains.words.count; d++)
        if (has_pictures(&w, d))
            ok = evaluate(&w, d, out, e);
    ptb_free(w.ptb);
    keys_free(&w.ids);
    keys_free(&w.domains);
    arena_free(&w.text);
    mem_free(w.images);
    return ok;
}
