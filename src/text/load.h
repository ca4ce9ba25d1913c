/* text/load.h: reading tokenizer files. What changes ids and is not implemented is refused with a
 * message, never ignored. */
#ifndef TEXT_LOAD_H
#define TEXT_LOAD_H

#include "base/json.h"
#include "text/kind.h"

/* The two ways to read a tokenizer into *t (zeroed). On failure *t is still to be freed. */
bool load_tokenizer_json(Tokenizer *t, const char *text, size_t n, const char *name, Error *e);
bool load_vocab_and_merges(Tokenizer *t, const char *dir, Error *e);

/* TokenizerKind.load of BPE. */
bool load_bpe(Tokenizer *t, const json_t *doc, const char *file, Error *e);

/* --- pieces of both ways ------------------------------------------------------------------------ */

/* An object {token: id} into t->vocab. */
bool load_vocab(Tokenizer *t, const json_t *vocab, const char *where, Error *e);

/* The flags of an added token. single_word is refused: nobody uses it. */
bool load_added_flags(const json_t *o, AddedToken *flags, const char *where, Error *e);

/* The "type" of a part of tokenizer.json: "" when the part is absent or null. */
const char *load_part_type(const json_t *part);

/* The part `key` must have this type; "" for: must be absent. */
bool load_expect_type(const json_t *doc, const char *key, const char *want, const char *file,
                      Error *e);

/* An option that this program knows in its off state only. */
bool load_expect_off(const json_t *o, const char *key, const char *file, Error *e);

#endif
