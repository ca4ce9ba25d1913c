/* eval/words.c: hashed words, sorted grams. */
#include "eval/words.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/unicode.h"

struct Word {
    const char *text;
    size_t n;
    uint64_t hash;
};

static uint64_t hash_bytes(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t h = 1469598103934665603u; /* FNV-1a, then mixed: its low bits alone are poor */
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h ^ (h >> 29);
}

/* --- words ---------------------------------------------------------------------------------------- */

static uint32_t *slot_of_word(const Words *w, const struct Word *word)
{
    size_t mask = w->slot_count - 1, at = (size_t)word->hash & mask;
    for (; w->slots[at]; at = (at + 1) & mask) {
        const struct Word *x = &w->list[w->slots[at] - 1];
        if (x->hash == word->hash && x->n == word->n && memcmp(x->text, word->text, x->n) == 0)
            break;
    }
    return &w->slots[at];
}

static bool more_word_slots(Words *w)
{
    size_t want = w->slot_count ? 2 * w->slot_count : 1024;
    uint32_t *slots = mem_calloc(want, sizeof *slots);
    if (!slots)
        return false;
    mem_free(w->slots);
    w->slots = slots;
    w->slot_count = want;
    for (size_t i = 0; i < w->count; i++)
        *slot_of_word(w, &w->list[i]) = (uint32_t)i + 1;
    return true;
}

uint32_t words_find(const Words *w, const char *text, size_t n)
{
    struct Word word = {text, n, hash_bytes(text, n)};
    uint32_t slot = w->slot_count ? *slot_of_word(w, &word) : 0;
    return slot ? slot - 1 : NO_WORD;
}

uint32_t words_number(Words *w, const char *text, size_t n)
{
    struct Word word = {text, n, hash_bytes(text, n)};
    if (2 * (w->count + 1) > w->slot_count && !more_word_slots(w))
        return NO_WORD;
    uint32_t *slot = slot_of_word(w, &word);
    if (!*slot) {
        if (!MEM_GROW(w->list, &w->cap, w->count + 1))
            return NO_WORD;
        w->list[w->count++] = word;
        *slot = (uint32_t)w->count;
    }
    return *slot - 1;
}

const char *words_text(const Words *w, uint32_t number)
{
    return w->list[number].text;
}

void words_free(Words *w)
{
    mem_free(w->list);
    mem_free(w->slots);
    *w = (Words){0};
}

/* The bytes of the separator at s, 0 when there is none. */
static size_t separator(const char *s, size_t n, SplitBy by)
{
    uint32_t cp;
    bool valid;
    if (by == SPLIT_BLANK)
        return *s == ' ';
    size_t length = (size_t)utf8_next(s, n, &cp, &valid);
    return valid && unicode_python_space(cp) ? length : 0;
}

static bool add_word(Words *w, const char *text, size_t n, Sentence *out, Error *e)
{
    if (out->count == SENTENCE_WORDS)
        return error_set(e, ERR_FAILED, "caption: expected at most %d words, got more",
                         SENTENCE_WORDS);
    uint32_t id = words_number(w, text, n);
    if (id == NO_WORD || !MEM_GROW(out->ids, &out->cap, out->count + 1))
        return error_memory(e, "words", w->count);
    out->ids[out->count++] = id;
    return true;
}

bool words_split(Words *w, const char *text, SplitBy by, Sentence *out, Error *e)
{
    size_t n = strlen(text), from = 0, skip;
    out->count = 0;
    for (size_t at = 0; at <= n; at += skip) {
        size_t gap = at < n ? separator(text + at, n - at, by) : 1;
        bool word = gap && (by == SPLIT_BLANK || at > from);
        if (word && !add_word(w, text + from, at - from, out, e))
            return false;
        skip = gap ? gap : 1;
        if (gap)
            from = at + gap;
    }
    return true;
}

void sentence_free(Sentence *s)
{
    mem_free(s->ids);
    *s = (Sentence){0};
}

/* --- grams ---------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const Gram *x = a, *y = b;
    for (int i = 0; i < NGRAMS; i++)
        if (x->word[i] != y->word[i])
            return x->word[i] < y->word[i] ? -1 : 1;
    return 0;
}

bool grams_count(const Sentence *s, size_t n, Grams *out, Error *e)
{
    size_t all = s->count >= n ? s->count - n + 1 : 0, used = 0;
    out->count = 0;
    if (all == 0)
        return true;
    if (!MEM_GROW(out->list, &out->cap, all))
        return error_memory(e, "n-grams", all);
    for (size_t i = 0; i < all; i++) {
        out->list[i] = (GramCount){{{0}}, 1};
        for (size_t k = 0; k < n; k++)
            out->list[i].gram.word[k] = s->ids[i + k] + 1;
    }
    qsort(out->list, all, sizeof *out->list, compare); /* a GramCount begins with its Gram */
    for (size_t i = 0; i < all; i++)
        if (used > 0 && compare(&out->list[used - 1].gram, &out->list[i].gram) == 0)
            out->list[used - 1].count++;
        else
            out->list[used++] = out->list[i];
    out->count = used;
    return true;
}

uint32_t grams_of(const Grams *g, const Gram *gram)
{
    const GramCount *found =
        g->count ? bsearch(gram, g->list, g->count, sizeof *g->list, compare) : NULL;
    return found ? found->count : 0;
}

void grams_free(Grams *g)
{
    mem_free(g->list);
    *g = (Grams){0};
}

static GramCount *slot_of_gram(const GramTable *t, const Gram *gram)
{
    size_t mask = t->slot_count - 1, at = (size_t)hash_bytes(gram, sizeof *gram) & mask;
    while (t->slots[at].count && compare(&t->slots[at].gram, gram) != 0)
        at = (at + 1) & mask;
    return &t->slots[at];
}

static bool more_gram_slots(GramTable *t)
{
    GramTable more = {.slot_count = t->slot_count ? 2 * t->slot_count : 256, .used = t->used};
    more.slots = mem_calloc(more.slot_count, sizeof *more.slots);
    if (!more.slots)
        return false;
    for (size_t i = 0; i < t->slot_count; i++)
        if (t->slots[i].count)
            *slot_of_gram(&more, &t->slots[i].gram) = t->slots[i];
    mem_free(t->slots);
    *t = more;
    return true;
}

bool gram_table_add(GramTable *t, const Gram *gram, Error *e)
{
    if (2 * (t->used + 1) > t->slot_count && !more_gram_slots(t))
        return error_memory(e, "n-grams", t->slot_count * sizeof *t->slots);
    GramCount *slot = slot_of_gram(t, gram);
    if (!slot->count)
        t->used++;
    slot->gram = *gram;
    slot->count++;
    return true;
}

uint32_t gram_table_get(const GramTable *t, const Gram *gram)
{
    return t->slot_count ? slot_of_gram(t, gram)->count : 0;
}

void gram_table_free(GramTable *t)
{
    mem_free(t->slots);
    *t = (GramTable){0};
}
