/* text/vocab.c: a hash table of texts over one list of tokens. */
#include "text/vocab.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

/* At most half of the slots are taken, so probes are short unless someone has chosen the texts to
 * collide; this bounds the time such a file can cost. */
enum { PROBES_MAX = 4096, SHOWN_BYTES = 40 };

uint64_t hash_mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

static uint64_t hash_bytes(uint64_t h, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

static const uint64_t HASH_EMPTY = 0xcbf29ce484222325u;

/* The slot that holds the text, whose bytes have that hash, or the free one where it belongs; slot_n when there is
 * neither within PROBES_MAX steps. */
static size_t slot_at(const Vocab *v, uint64_t hash, const char *a, size_t na, const char *b,
                      size_t nb)
{
    size_t mask = v->slot_n - 1, at = hash_mix(hash) & mask;
    for (int probe = 0; probe < PROBES_MAX && v->slot_n; probe++, at = (at + 1) & mask) {
        if (v->slot[at] < 0)
            return at;
        const VocabToken *t = &v->token[v->slot[at]];
        const char *text = v->text + t->at;
        if (t->n == na + nb && !memcmp(text, a, na) && !memcmp(text + na, b, nb))
            return at;
    }
    return v->slot_n;
}

static size_t slot_of(const Vocab *v, const char *a, size_t na, const char *b, size_t nb)
{
    return slot_at(v, hash_bytes(hash_bytes(HASH_EMPTY, a, na), b, nb), a, na, b, nb);
}

int vocab_find_joined(const Vocab *v, const char *a, size_t na, const char *b, size_t nb)
{
    size_t at = slot_of(v, a, na, b, nb);
    return at < v->slot_n ? v->slot[at] : -1;
}

/* A token cannot end within a character: both are UTF-8. */
int vocab_longest(const Vocab *v, const char *a, size_t na, const char *s, size_t n, int below,
                  size_t *taken)
{
    uint64_t hash = hash_bytes(HASH_EMPTY, a, na);
    int best = -1;
    for (size_t k = 1; k <= n; k++) {
        hash = hash_bytes(hash, s + k - 1, 1);
        size_t at = slot_at(v, hash, a, na, s, k);
        int id = at < v->slot_n ? v->slot[at] : -1;
        if (id >= 0 && id < below) {
            best = id;
            *taken = k;
        }
    }
    return best;
}

int vocab_find(const Vocab *v, const char *text, size_t n)
{
    return vocab_find_joined(v, text, n, "", 0);
}

/* Makes the hash table larger and puts all tokens in again. */
static bool rehash(Vocab *v)
{
    size_t n = v->slot_n ? 2 * v->slot_n : 1024;
    int *slot = mem_alloc(n * sizeof *slot);
    if (!slot)
        return false;
    memset(slot, 0xff, n * sizeof *slot);
    mem_free(v->slot);
    v->slot = slot;
    v->slot_n = n;
    for (int id = 0; id < v->size; id++) {
        const VocabToken *t = &v->token[id];
        size_t at = t->present ? slot_of(v, v->text + t->at, t->n, "", 0) : n;
        if (at < n)
            slot[at] = id;
    }
    return true;
}

/* The ids between are not present. */
static bool grow_tokens(Vocab *v, size_t n)
{
    size_t had = v->token_cap;
    if (!MEM_GROW(v->token, &v->token_cap, n))
        return false;
    memset(v->token + had, 0, (v->token_cap - had) * sizeof *v->token);
    return true;
}

/* Room for one more token of n bytes with this id. */
static bool make_room(Vocab *v, size_t n, int id)
{
    return (2 * ((size_t)v->count + 1) <= v->slot_n || rehash(v)) &&
           grow_tokens(v, (size_t)id + 1) && MEM_GROW(v->text, &v->text_cap, v->text_n + n + 1);
}

static bool check_free(const Vocab *v, const char *text, size_t n, int64_t id, const char *where,
                       Error *e)
{
    int shown = (int)utf8_cut(text, n, SHOWN_BYTES);
    if (id < 0 || id > TOKEN_ID_MAX)
        return error_set(e, ERR_BAD_MODEL, "%s: \"%.*s\": expected an id in [0, %d], got %lld",
                         where, shown, text, TOKEN_ID_MAX, (long long)id);
    int other = vocab_find(v, text, n);
    if (other >= 0)
        return error_set(e, ERR_BAD_MODEL, "%s: \"%.*s\": expected one id, got %d and %lld", where,
                         shown, text, other, (long long)id);
    size_t k;
    const char *taken = vocab_text(v, (int)id, &k);
    if (!taken)
        return true;
    return error_set(e, ERR_BAD_MODEL, "%s: id %lld: expected one token, got \"%.*s\" and \"%.*s\"",
                     where, (long long)id, (int)utf8_cut(taken, k, SHOWN_BYTES), taken, shown,
                     text);
}

bool vocab_add(Vocab *v, const char *text, size_t n, int64_t id, const char *where, Error *e)
{
    if (!check_free(v, text, n, id, where, e))
        return false;
    if (n > UINT32_MAX - v->text_n || !make_room(v, n, (int)id))
        return error_memory(e, where, v->text_n + n);
    size_t at = slot_of(v, text, n, "", 0);
    if (at == v->slot_n)
        return error_set(e, ERR_BAD_MODEL, "%s: too many tokens with the same hash", where);
    memcpy(v->text + v->text_n, text, n);
    v->token[id] = (VocabToken){.at = (uint32_t)v->text_n,
                                .n = (uint32_t)n,
                                .shown_at = (uint32_t)v->text_n,
                                .shown_n = (uint32_t)n,
                                .present = true};
    v->text_n += n;
    v->slot[at] = (int)id;
    v->count++;
    if (id >= v->size)
        v->size = (int)id + 1;
    return true;
}

const char *vocab_text(const Vocab *v, int id, size_t *n)
{
    if (id < 0 || id >= v->size || !v->token[id].present)
        return NULL;
    *n = v->token[id].shown_n;
    return v->text + v->token[id].shown_at;
}

bool vocab_show(Vocab *v, int id, const char *text, size_t n)
{
    if (n > UINT32_MAX - v->text_n || !MEM_GROW(v->text, &v->text_cap, v->text_n + n + 1))
        return false;
    memcpy(v->text + v->text_n, text, n);
    v->token[id].shown_at = (uint32_t)v->text_n;
    v->token[id].shown_n = (uint32_t)n;
    v->text_n += n;
    return true;
}

void vocab_free(Vocab *v)
{
    mem_free(v->token);
    mem_free(v->text);
    mem_free(v->slot);
    *v = (Vocab){0};
}
