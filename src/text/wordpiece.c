/* text/wordpiece.c: see text/wordpiece.h. */
#include "text/wordpiece.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

typedef struct Work {
    const Wordpiece *w;
    const Vocab *v;
    StrBuf word; /* the one being read */
    int characters;
    Ids *out;
} Work;

/* --- one word ------------------------------------------------------------------------------------ */

/* The longest token that s[0..n) begins with; behind the first piece of a word with "##" in front. *taken: its
 * bytes. -1: none. */
static int longest_token(const Work *k, const char *s, size_t n, bool first, size_t *taken)
{
    size_t marks = first ? 0 : 2, most = k->w->longest > marks ? k->w->longest - marks : 0;
    return vocab_longest(k->v, "##", marks, s, n < most ? n : most, k->w->tokens, taken);
}

static bool push_pieces(Work *k)
{
    size_t before = k->out->n, taken = 0;
    for (size_t at = 0; at < k->word.len; at += taken) {
        int id = longest_token(k, k->word.data + at, k->word.len - at, at == 0, &taken);
        if (id < 0) {
            k->out->n = before;
            return ids_push(k->out, k->w->unknown);
        }
        if (!ids_push(k->out, id))
            return false;
    }
    return true;
}

static bool end_word(Work *k)
{
    bool ok = !k->word.failed;
    if (ok && k->characters > k->w->longest_word)
        ok = ids_push(k->out, k->w->unknown);
    else if (ok)
        ok = push_pieces(k);
    k->word.len = 0;
    k->characters = 0;
    return ok;
}

/* --- a text -------------------------------------------------------------------------------------- */

/* A word longer than the longest is unknown however it goes on: no more of it is kept. */
static void add_to_word(Work *k, uint32_t cp)
{
    char bytes[4];
    if (k->characters <= k->w->longest_word) {
        strbuf_add(&k->word, bytes, (size_t)utf8_put(cp, bytes));
        k->characters++;
    }
}

static bool take_character(Work *k, uint32_t cp)
{
    if (cp == ' ')
        return end_word(k);
    if (!bert_is_punctuation(cp)) {
        add_to_word(k, cp);
        return true;
    }
    if (!end_word(k))
        return false;
    add_to_word(k, cp);
    return end_word(k);
}

void wordpiece_normalise(const char *s, size_t n, StrBuf *out)
{
    for (size_t at = 0; at < n;) {
        uint32_t cp, to[BERT_MAPPED_MAX];
        bool valid;
        char bytes[4];
        at += (size_t)utf8_next(s + at, n - at, &cp, &valid);
        int count = bert_normalised(cp, to);
        for (int i = 0; i < count; i++)
            strbuf_add(out, bytes, (size_t)utf8_put(to[i], bytes));
    }
}

bool wordpiece_encode(const Wordpiece *w, const Vocab *v, const char *s, size_t n, Ids *out)
{
    Work k = {.w = w, .v = v, .out = out};
    bool ok = true, valid;
    for (size_t at = 0; ok && at < n;) {
        uint32_t cp;
        at += (size_t)utf8_next(s + at, n - at, &cp, &valid);
        ok = take_character(&k, cp);
    }
    ok = ok && end_word(&k);
    strbuf_free(&k.word);
    return ok;
}

bool wordpiece_decode(const Vocab *v, const int *ids, size_t n, StrBuf *out)
{
    StrBuf one = {0};
    for (size_t i = 0, k; i < n; i++) {
        const char *s = vocab_text(v, ids[i], &k);
        bool goes_on = i > 0 && k >= 2 && memcmp(s, "##", 2) == 0;
        one.len = 0;
        if (i > 0 && !goes_on)
            strbuf_puts(&one, " ");
        strbuf_add(&one, s + (goes_on ? 2 : 0), k - (goes_on ? 2 : 0));
        if (one.len && !one.failed)
            strbuf_add(out, one.data, text_cleanup(one.data, one.len));
    }
    bool ok = !one.failed && !out->failed;
    strbuf_free(&one);
    return ok;
}
