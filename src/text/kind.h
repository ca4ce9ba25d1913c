/* text/kind.h: the inside of a Tokenizer: what all kinds have in common, and the seam where a kind
 * docks. For the readers of files, the kinds and tokenizer.c only.
 *
 * A new kind is its algorithm (as bpe.c), a file that makes a TokenizerKind of it and reads its
 * parts of tokenizer.json (as kind_bpe.c), and its name in the list of load_json.c. */
#ifndef TEXT_KIND_H
#define TEXT_KIND_H

#include <jansson.h>
#include "text/added.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

typedef struct TokenizerKind {
    const char *name; /* model.type of tokenizer.json */
    size_t bytes;     /* of its own data, Tokenizer.data */

    /* Reads the kind's parts of a tokenizer.json into t->vocab and its own data. */
    bool (*load)(Tokenizer *t, const json_t *doc, const char *file, Error *e);

    /* Appends the normalised text of a piece, n >= 1, valid UTF-8. NULL: that is the text. False: out of memory. */
    bool (*normalise)(const Tokenizer *t, const char *s, size_t n, StrBuf *out);

    /* Appends the ids of a normalised piece without added tokens, n >= 1, valid UTF-8. False: out of memory. */
    bool (*encode)(const Tokenizer *t, const char *s, size_t n, Ids *out);

    /* Appends the text of ids that all exist, as valid UTF-8. False: out of memory. */
    bool (*decode)(const Tokenizer *t, const int *ids, size_t n, StrBuf *out);

    void (*free)(void *data); /* what the data holds, loaded or still zero */
} TokenizerKind;

/* Ids of added tokens around a text; more is not a template but an attack. */
enum { TEMPLATE_MAX = 16 };

struct Tokenizer {
    const TokenizerKind *kind; /* NULL until known */
    void *data;                /* the kind's */
    Vocab vocab;               /* added tokens included */
    AddedSet added[2];         /* first pass, second pass (AddedToken.normalized) */
    int prefix[TEMPLATE_MAX], suffix[TEMPLATE_MAX];
    int prefix_n, suffix_n;
    bool split_special; /* special tokens in a text are ordinary characters, always */
    Notes notes;
};

/* Says, once, of what kind t is, and makes its data, zeroed. `where` begins the message. */
bool tokenizer_set_kind(Tokenizer *t, const TokenizerKind *kind, const char *where, Error *e);

/* Adds an added token; its id must be new, or its text must be in the vocabulary with this id. When
 * it was added before, only `special` counts. `where` begins the message. */
bool tokenizer_add(Tokenizer *t, const char *text, size_t n, int64_t id, AddedToken flags,
                   const char *where, Error *e);

#endif
