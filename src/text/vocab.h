/* text/vocab.h: tokens by id and by text; shared by all kinds of tokenizers, inside text/ only. A
 * Vocab is {0} at first, filled while loading, and then immutable. Texts are bytes, compared as
 * such. */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* Ids come from files and index arrays: above any real vocabulary, below what hurts. */
enum { TOKEN_ID_MAX = (1 << 20) - 1 };

typedef struct VocabToken {
    uint32_t at, n;             /* in Vocab.text */
    uint32_t shown_at, shown_n; /* the same, unless vocab_show said otherwise */
    bool present, added, special;
} VocabToken;

typedef struct Vocab {
    VocabToken *token; /* by id, [0, size) */
    int size;          /* highest id + 1 */
    int count;         /* tokens present */
    char *text;        /* of all tokens */
    int *slot;         /* hash table: ids, -1 where free */
    size_t token_cap, text_n, text_cap, slot_n;
} Vocab;

/* Adds a token. `where` begins the message. ERR_BAD_MODEL when the id is out of [0, TOKEN_ID_MAX],
 * or the id or the text is there already. */
bool vocab_add(Vocab *v, const char *text, size_t n, int64_t id, const char *where, Error *e);

int vocab_find(const Vocab *v, const char *text, size_t n); /* the id, or -1 */
/* Of the token whose text is a[0..na) followed by b[0..nb). */
int vocab_find_joined(const Vocab *v, const char *a, size_t na, const char *b, size_t nb);
/* Of the token below `below` whose text is a[0..na) followed by the most of s[0..n), *taken bytes, at least one.
 * Time in proportion to n. */
int vocab_longest(const Vocab *v, const char *a, size_t na, const char *s, size_t n, int below,
                  size_t *taken);

/* The text of a token (not zero-terminated), or NULL when there is no such id. The pointer holds
 * until the next vocab_add or vocab_show. */
const char *vocab_text(const Vocab *v, int id, size_t *n);
/* From now on this is its text, and it is still found by the old one. False: out of memory. */
bool vocab_show(Vocab *v, int id, const char *text, size_t n);
void vocab_free(Vocab *v);

/* Mixes a 64-bit key to a hash whose low bits are good. */
uint64_t hash_mix(uint64_t x);

#endif
