/* text/unigram.c: Viterbi over the pieces that begin at each character. */
#define _GNU_SOURCE
#include "text/unigram.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/unicode.h"

static const char MARK[] = "\xe2\x96\x81"; /* U+2581 */
enum { MARK_BYTES = 3 };

/* --- making -------------------------------------------------------------------------------------- */

bool unigram_add(Unigram *u, double score)
{
    size_t n = (size_t)u->n + 1;
    if (!MEM_GROW(u->score, &u->cap_score, n) || !MEM_GROW(u->sorted, &u->cap_sorted, n))
        return false;
    u->score[u->n] = score;
    u->sorted[u->n] = u->n;
    u->n++;
    return true;
}

static int by_bytes(const void *a, const void *b, void *vocab)
{
    size_t na, nb;
    const char *s = vocab_text(vocab, *(const int *)a, &na);
    const char *t = vocab_text(vocab, *(const int *)b, &nb);
    int order = memcmp(s, t, na < nb ? na : nb);
    return order ? order : (na > nb) - (na < nb);
}

void unigram_ready(Unigram *u, const Vocab *v, int unknown)
{
    size_t n;
    double least = INFINITY;
    qsort_r(u->sorted, (size_t)u->n, sizeof *u->sorted, by_bytes, (void *)(uintptr_t)v);
    for (int b = 0; b <= 256; b++)
        u->first[b] = u->n;
    for (int i = u->n; i-- > 0;) {
        const char *s = vocab_text(v, u->sorted[i], &n);
        for (int b = n ? (unsigned char)s[0] : 0; b >= 0 && u->first[b] > i; b--)
            u->first[b] = i;
        least = u->score[i] < least ? u->score[i] : least;
    }
    u->unknown = unknown;
    u->unknown_score = least - 10; /* unigram/model.rs, K_UNK_PENALTY */
}

void unigram_free(Unigram *u)
{
    charsmap_free(&u->normal);
    mem_free(u->score);
    mem_free(u->sorted);
    *u = (Unigram){0};
}

/* --- one word ------------------------------------------------------------------------------------ */

/* The best way to a place in a word: by that piece, which begins at `from`. */
typedef struct Way {
    double score;
    int from, id; /* from -1: none yet */
} Way;

typedef struct Work {
    const Unigram *u;
    const Vocab *v;
    Way *way; /* [bytes + 1] */
    int *ids; /* of the word, last first */
    size_t cap_way, cap_ids;
    Ids *out;
} Work;

static int byte_of(const Work *w, int place, size_t k)
{
    size_t n;
    return (unsigned char)vocab_text(w->v, w->u->sorted[place], &n)[k];
}

/* The first of sorted[lo..hi) whose byte k, which all of them have, is at least b. */
static int lower(const Work *w, int lo, int hi, size_t k, int b)
{
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (byte_of(w, mid, k) < b)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Leaves of sorted[*lo..*hi), which are in order and have a byte k, those where it is b. */
static void narrow(const Work *w, int *lo, int *hi, size_t k, int b)
{
    if (byte_of(w, *lo, k) == b && byte_of(w, *hi - 1, k) == b)
        return;
    *lo = lower(w, *lo, *hi, k, b);
    *hi = lower(w, *lo, *hi, k, b + 1);
}

static void offer(Work *w, int from, size_t k, double score, int id)
{
    Way *to = &w->way[(size_t)from + k];
    double sum = score + w->way[from].score;
    if (to->from < 0 || sum > to->score)
        *to = (Way){sum, from, id};
}

/* The pieces that s[0..n) begins with, from short to long. Returns whether one is exactly one character. */
static bool offer_pieces(Work *w, const char *s, size_t n, int from, size_t character)
{
    const Unigram *u = w->u;
    int lo = u->first[(unsigned char)s[0]], hi = u->first[(unsigned char)s[0] + 1];
    bool alone = false;
    for (size_t k = 1; lo < hi; k++) {
        size_t length;
        vocab_text(w->v, u->sorted[lo], &length);
        if (length == k) {
            offer(w, from, k, u->score[u->sorted[lo]], u->sorted[lo]);
            alone |= k == character;
            lo++;
        }
        if (k == n || lo == hi)
            break;
        narrow(w, &lo, &hi, k, (unsigned char)s[k]);
    }
    return alone;
}

/* The ids of the best way, first to last; neighbours that are unknown are one. */
static bool push_way(Work *w, size_t n)
{
    int count = 0;
    for (int at = (int)n; at > 0; at = w->way[at].from)
        w->ids[count++] = w->way[at].id;
    for (int i = count; i-- > 0;) {
        bool again = w->ids[i] == w->u->unknown && i + 1 < count && w->ids[i + 1] == w->ids[i];
        if (!again && !ids_push(w->out, w->ids[i]))
            return false;
    }
    return true;
}

static bool encode_word(Work *w, const char *s, size_t n)
{
    if (n >= INT_MAX || !MEM_GROW(w->way, &w->cap_way, n + 1) || !MEM_GROW(w->ids, &w->cap_ids, n))
        return false;
    for (size_t i = 0; i <= n; i++)
        w->way[i] = (Way){.from = -1};
    for (size_t at = 0, k; at < n; at += k) {
        uint32_t cp;
        bool valid;
        k = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (!offer_pieces(w, s + at, n - at, (int)at, k))
            offer(w, (int)at, k, w->u->unknown_score, w->u->unknown);
    }
    return push_way(w, n);
}

/* --- a text -------------------------------------------------------------------------------------- */

/* A word without white space, with U+2581 in front; every further U+2581 begins a new one. */
static bool encode_marked(Work *w, const char *s, size_t n)
{
    size_t from = 0;
    for (size_t at = 1; at + MARK_BYTES <= n; at++)
        if (memcmp(s + at, MARK, MARK_BYTES) == 0) {
            if (!encode_word(w, s + from, at - from))
                return false;
            from = at;
        }
    return encode_word(w, s + from, n - from);
}

static bool encode_between(Work *w, StrBuf *marked, const char *s, size_t n)
{
    if (n == 0)
        return true;
    if (n >= MARK_BYTES && memcmp(s, MARK, MARK_BYTES) == 0)
        return encode_marked(w, s, n);
    marked->len = 0;
    strbuf_puts(marked, MARK);
    strbuf_add(marked, s, n);
    return !marked->failed && encode_marked(w, marked->data, marked->len);
}

bool unigram_encode(const Unigram *u, const Vocab *v, const char *s, size_t n, Ids *out)
{
    StrBuf marked = {0};
    Work w = {.u = u, .v = v, .out = out};
    bool ok = true;
    size_t from = 0;
    for (size_t at = 0, k; ok && at < n; at += k) {
        uint32_t cp;
        bool valid;
        k = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (unicode_class(cp) != CLASS_SPACE)
            continue;
        ok = encode_between(&w, &marked, s + from, at - from);
        from = at + k;
    }
    ok = ok && encode_between(&w, &marked, s + from, n - from);
    strbuf_free(&marked);
    mem_free(w.way);
    mem_free(w.ids);
    return ok;
}

bool unigram_decode(const Vocab *v, const int *ids, size_t n, StrBuf *out)
{
    for (size_t i = 0, k; i < n; i++) {
        const char *s = vocab_text(v, ids[i], &k), *mark;
        for (const char *end = s + k; s < end; s = mark) {
            for (mark = s; mark < end; mark++)
                if (end - mark >= MARK_BYTES && memcmp(mark, MARK, MARK_BYTES) == 0)
                    break;
            strbuf_add(out, s, (size_t)(mark - s));
            if (mark < end) {
                strbuf_puts(out, i ? " " : "");
                mark += MARK_BYTES;
            }
        }
    }
    return !out->failed;
}
