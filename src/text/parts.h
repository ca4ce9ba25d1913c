/* text/parts.h: pieces that tokenizer files of all kinds are made of, for their readers. `where`
 * and `file` begin the messages. Errors: ERR_BAD_MODEL, ERR_MEMORY. */
#ifndef TEXT_PARTS_H
#define TEXT_PARTS_H

#include "base/json.h"
#include "text/kind.h"

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
