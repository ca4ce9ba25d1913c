/* text/kind.h: the inside of a Tokenizer: what all kinds have in common, and the seam where a kind
 * docks. A new kind is one file with its encode and decode, one TokenizerKind, and one line in the
 * table of load_json.c. */
#ifndef TEXT_KIND_H
#define TEXT_KIND_H

#include "base/json.h"
#include "text/added.h"
#include "text/bpe.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

typedef struct TokenizerKind {
    const char *name; /* model.type of tokenizer.json */

    /* Appends the ids of a piece without added tokens, n >= 1, valid UTF-8. False: out of memory. */
    bool (*encode)(const Tokenizer *t, const char *s, size_t n, Ids *out);

    /* Appends the text of ids that all exist, as valid UTF-8. False: out of memory. */
    bool (*decode)(const Tokenizer *t, const int *ids, size_t n, StrBuf *out);

    void (*free)(Tokenizer *t); /* the kind's own part */
} TokenizerKind;

extern const TokenizerKind KIND_BPE;

/* Ids of added tokens around a text; more is not a template but an attack. */
enum { TEMPLATE_MAX = 16 };

struct Tokenizer {
    const TokenizerKind *kind; /* NULL until the kind's own part is there */
    Vocab vocab;               /* added tokens included */
    AddedSet added[2];         /* first pass, second pass (AddedToken.normalized) */
    int prefix[TEMPLATE_MAX], suffix[TEMPLATE_MAX];
    int prefix_n, suffix_n;
    Bpe bpe;
};

/* Adds an added token; its id must be new, or its text must be in the vocabulary with this id. When
 * it was added before, only `special` counts. `where` begins the message. */
bool tokenizer_add(Tokenizer *t, const char *text, size_t n, int64_t id, AddedToken flags,
                   const char *where, Error *e);

/* The "vocab" object of both forms, {token: id}, into t->vocab. */
bool load_vocab(Tokenizer *t, const json_t *vocab, const char *where, Error *e);
/* The flags of an added token in both forms. single_word is refused: nobody uses it. */
bool load_added_flags(const json_t *o, AddedToken *flags, const char *where, Error *e);

/* The two ways to read a tokenizer into *t (zeroed). */
bool load_tokenizer_json(Tokenizer *t, const char *text, size_t n, const char *name, Error *e);
bool load_vocab_and_merges(Tokenizer *t, const char *dir, Error *e);

#endif
