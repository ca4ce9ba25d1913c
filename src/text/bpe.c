/* text/bpe.c: the merges of one word, best first, and the byte-level alphabet. */
#include "text/bpe.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/words.h"

enum { SHOWN_BYTES = 40, ALPHABET_END = 0x144, PROBES_MAX = 4096 };

/* --- the byte-level alphabet -------------------------------------------------------------------- */

static bool stands_for_itself(int byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/* byte_of[c] is the byte that code point c stands for, -1 where it stands for none. */
static void alphabet(int16_t byte_of[ALPHABET_END], uint32_t char_of[256])
{
    uint32_t next = 0x100;
    for (int i = 0; i < ALPHABET_END; i++)
        byte_of[i] = -1;
    for (int b = 0; b < 256; b++) {
        char_of[b] = stands_for_itself(b) ? (uint32_t)b : next++;
        byte_of[char_of[b]] = (int16_t)b;
    }
}

/* --- merges ------------------------------------------------------------------------------------- */

bool bpe_init(Bpe *b, const Vocab *v, size_t merges)
{
    int16_t byte_of[ALPHABET_END];
    uint32_t char_of[256];
    char text[4];
    alphabet(byte_of, char_of);
    *b = (Bpe){.unknown = -1, .slot_n = 16};
    while (b->slot_n < 2 * merges + 2)
        b->slot_n *= 2;
    for (int i = 0; i < 256; i++)
        b->byte_id[i] = vocab_find(v, text, (size_t)utf8_put(char_of[i], text));
    b->merge = mem_alloc(b->slot_n * sizeof *b->merge);
    if (b->merge)
        memset(b->merge, 0xff, b->slot_n * sizeof *b->merge);
    return b->merge != NULL;
}

void bpe_free(Bpe *b)
{
    mem_free(b->merge);
    *b = (Bpe){0};
}

/* The slot of a pair: taken by it or free; NULL when there is neither within PROBES_MAX steps, which
 * only pairs that someone has chosen to collide can bring about. */
static BpeMerge *slot_of(const Bpe *b, int left, int right)
{
    size_t mask = b->slot_n - 1;
    size_t at = hash_mix((uint64_t)(uint32_t)left << 32 | (uint32_t)right) & mask;
    for (int probe = 0; probe < PROBES_MAX; probe++, at = (at + 1) & mask) {
        BpeMerge *m = &b->merge[at];
        if (m->id < 0 || (m->left == left && m->right == right))
            return m;
    }
    return NULL;
}

static int merged_id(const Bpe *b, int left, int right, uint32_t *rank)
{
    const BpeMerge *m = slot_of(b, left, right);
    *rank = m ? m->rank : 0;
    return m ? m->id : -1;
}

bool bpe_add_merge(Bpe *b, const Vocab *v, const char *left, size_t left_n, const char *right,
                   size_t right_n, const char *where, Error *e)
{
    int l = vocab_find(v, left, left_n), r = vocab_find(v, right, right_n);
    int id = l < 0 || r < 0 ? -1 : vocab_find_joined(v, left, left_n, right, right_n);
    if (id < 0)
        return error_set(
            e, ERR_BAD_MODEL,
            "%s: merge %zu: expected tokens of the vocabulary, got \"%.*s\" + \"%.*s\"", where,
            b->merge_n, (int)utf8_cut(left, left_n, SHOWN_BYTES), left,
            (int)utf8_cut(right, right_n, SHOWN_BYTES), right);
    if (2 * (b->merge_n + 1) > b->slot_n)
        BUG("more merges than bpe_init was told");
    BpeMerge *m = slot_of(b, l, r);
    if (!m)
        return error_set(e, ERR_BAD_MODEL, "%s: too many merges with the same hash", where);
    *m = (BpeMerge){l, r, id, (uint32_t)b->merge_n++};
    return true;
}

bool bpe_merge_gap(const char *s, size_t n, size_t *gap)
{
    const char *space = memchr(s, ' ', n);
    *gap = space ? (size_t)(space - s) : 0;
    return space && !memchr(space + 1, ' ', n - *gap - 1);
}

/* --- a word: a linked list of tokens, and a heap of the merges that are possible ---------------- */

typedef struct Symbol {
    int id; /* -1: swallowed by its left neighbour */
    int prev, next;
} Symbol;

typedef struct Candidate {
    uint32_t rank;
    int at; /* index of the left symbol */
    int id; /* of the merged token */
} Candidate;

typedef struct Work {
    Symbol *symbol;
    Candidate *heap; /* 2 per symbol: each merge takes one out and puts two in at most */
    size_t cap;
    int symbol_n, heap_n;
} Work;

static bool work_room(Work *w, size_t n)
{
    if (n <= w->cap)
        return true;
    mem_free(w->symbol);
    mem_free(w->heap);
    w->cap = n + n / 2 + 64;
    w->symbol = mem_alloc(w->cap * sizeof *w->symbol);
    w->heap = mem_alloc(2 * w->cap * sizeof *w->heap);
    return w->symbol && w->heap;
}

static void work_free(Work *w)
{
    mem_free(w->symbol);
    mem_free(w->heap);
}

static bool before(Candidate a, Candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void heap_push(Work *w, Candidate c)
{
    int i = w->heap_n++;
    for (int up; i > 0 && before(c, w->heap[up = (i - 1) / 2]); i = up)
        w->heap[i] = w->heap[up];
    w->heap[i] = c;
}

static Candidate heap_pop(Work *w)
{
    Candidate top = w->heap[0], c = w->heap[--w->heap_n];
    int i = 0;
    for (int down; (down = 2 * i + 1) < w->heap_n; i = down) {
        if (down + 1 < w->heap_n && before(w->heap[down + 1], w->heap[down]))
            down++;
        if (!before(w->heap[down], c))
            break;
        w->heap[i] = w->heap[down];
    }
    w->heap[i] = c;
    return top;
}

/* Makes the pair that begins at symbol `at` a candidate, if it has a merge. */
static void consider(const Bpe *b, Work *w, int at)
{
    if (at < 0 || w->symbol[at].next < 0)
        return;
    uint32_t rank;
    int id = merged_id(b, w->symbol[at].id, w->symbol[w->symbol[at].next].id, &rank);
    if (id >= 0)
        heap_push(w, (Candidate){rank, at, id});
}

/* False for a candidate whose symbols have changed since it was pushed. */
static bool still_there(const Bpe *b, const Work *w, Candidate c)
{
    const Symbol *s = &w->symbol[c.at];
    uint32_t rank;
    return s->id >= 0 && s->next >= 0 && merged_id(b, s->id, w->symbol[s->next].id, &rank) == c.id;
}

static void merge(const Bpe *b, Work *w, Candidate c)
{
    Symbol *left = &w->symbol[c.at], *right = &w->symbol[left->next];
    left->id = c.id;
    left->next = right->next;
    right->id = -1;
    if (left->next >= 0)
        w->symbol[left->next].prev = c.at;
    consider(b, w, left->prev);
    consider(b, w, c.at);
}

/* The bytes of a word as symbols. */
static void spell(const Bpe *b, Work *w, const unsigned char *s, size_t n)
{
    bool was_unknown = false;
    w->symbol_n = w->heap_n = 0;
    for (size_t i = 0; i < n; i++) {
        int id = b->byte_id[s[i]];
        bool unknown = id < 0;
        if (unknown && !(b->fuse_unknown && was_unknown))
            id = b->unknown;
        was_unknown = unknown;
        if (id < 0)
            continue;
        w->symbol[w->symbol_n] = (Symbol){id, w->symbol_n - 1, w->symbol_n + 1};
        w->symbol_n++;
    }
    if (w->symbol_n)
        w->symbol[w->symbol_n - 1].next = -1;
}

static bool encode_word(const Bpe *b, Work *w, const char *s, size_t n, Ids *out)
{
    if (!work_room(w, n))
        return false;
    spell(b, w, (const unsigned char *)s, n);
    for (int i = 0; i < w->symbol_n; i++)
        consider(b, w, i);
    while (w->heap_n > 0) {
        Candidate c = heap_pop(w);
        if (still_there(b, w, c))
            merge(b, w, c);
    }
    for (int i = w->symbol_n ? 0 : -1; i >= 0; i = w->symbol[i].next)
        if (!ids_push(out, w->symbol[i].id))
            return false;
    return true;
}

static bool encode_words(const Bpe *b, const char *s, size_t n, Ids *out)
{
    Work w = {0};
    bool ok = true;
    for (size_t at = 0, end; ok && at < n; at = end) {
        end = b->whole_piece ? n : word_end(s, n, at);
        ok = encode_word(b, &w, s + at, end - at, out);
    }
    work_free(&w);
    return ok;
}

bool bpe_encode(const Bpe *b, const char *s, size_t n, Ids *out)
{
    if (!b->prefix_space || s[0] == ' ')
        return encode_words(b, s, n, out);
    StrBuf spaced = {0};
    strbuf_puts(&spaced, " ");
    strbuf_add(&spaced, s, n);
    bool ok = !spaced.failed && encode_words(b, spaced.data, spaced.len, out);
    strbuf_free(&spaced);
    return ok;
}

/* --- back to text ------------------------------------------------------------------------------- */

/* Appends the bytes that a token's characters stand for; false when one stands for none. */
static bool add_bytes(StrBuf *out, const int16_t *byte_of, const char *s, size_t n)
{
    uint32_t cp;
    bool valid;
    for (size_t at = 0; at < n;) {
        at += (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (cp >= ALPHABET_END || byte_of[cp] < 0)
            return false;
        char byte = (char)byte_of[cp];
        strbuf_add(out, &byte, 1);
    }
    return true;
}

bool bpe_decode(const Vocab *v, const int *ids, size_t n, StrBuf *out)
{
    int16_t byte_of[ALPHABET_END];
    uint32_t char_of[256];
    StrBuf bytes = {0};
    alphabet(byte_of, char_of);
    for (size_t i = 0, k; i < n; i++) {
        const char *text = vocab_text(v, ids[i], &k);
        size_t mark = bytes.len;
        if (text && !add_bytes(&bytes, byte_of, text, k)) {
            bytes.len = mark;
            strbuf_add(&bytes, text, k);
        }
    }
    if (bytes.len)
        utf8_add_lossy(out, bytes.data, bytes.len);
    bool ok = !bytes.failed && !out->failed;
    strbuf_free(&bytes);
    return ok;
}
