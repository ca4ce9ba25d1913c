/* text/added.c: added tokens sorted by text; the longest that begins here. */
#include "text/added.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

bool added_push(AddedSet *s, AddedToken token)
{
    if (!MEM_GROW(s->token, &s->cap, s->n + 1))
        return false;
    s->token[s->n++] = token;
    return true;
}

static int by_text(const void *x, const void *y)
{
    const AddedToken *a = x, *b = y;
    int order = memcmp(a->text, b->text, a->n < b->n ? a->n : b->n);
    return order ? order : (a->n > b->n) - (a->n < b->n);
}

static int by_text_and_id(const void *x, const void *y)
{
    int order = by_text(x, y);
    return order ? order : ((const AddedToken *)x)->id - ((const AddedToken *)y)->id;
}

/* Normalised, a token may be empty, or as another: of those the first id counts. */
static void drop_useless(AddedSet *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->token[i].n > 0 && (kept == 0 || by_text(&s->token[kept - 1], &s->token[i]) != 0))
            s->token[kept++] = s->token[i];
    s->n = kept;
}

void added_sort(AddedSet *s, const Vocab *v)
{
    for (size_t i = 0; i < s->n; i++)
        s->token[i].text = vocab_text(v, s->token[i].id, &s->token[i].n);
    if (s->n)
        qsort(s->token, s->n, sizeof *s->token, by_text_and_id);
    drop_useless(s);
    size_t at = 0;
    for (int b = 0; b < 257; b++) {
        while (at < s->n && (unsigned char)s->token[at].text[0] < b)
            at++;
        s->first[b] = (int)at;
    }
}

void added_free(AddedSet *s)
{
    mem_free(s->token);
    *s = (AddedSet){0};
}

/* The first token in [lo, hi) whose byte at `depth` is at least c. */
static int lower_bound(const AddedSet *s, int lo, int hi, size_t depth, int c)
{
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if ((unsigned char)s->token[mid].text[depth] < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const AddedToken *added_match(const AddedSet *set, const char *s, size_t n)
{
    const AddedToken *best = NULL;
    int lo = set->first[(unsigned char)s[0]], hi = set->first[(unsigned char)s[0] + 1];
    for (size_t depth = 1; lo < hi; depth++) {
        if (set->token[lo].n == depth) /* a prefix of the others, so it is the first of them */
            best = &set->token[lo++];
        if (depth == n)
            break;
        int c = (unsigned char)s[depth];
        lo = lower_bound(set, lo, hi, depth, c);
        hi = lower_bound(set, lo, hi, depth, c + 1);
    }
    return best;
}
