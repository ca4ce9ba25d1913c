/* text/load.h: the kinds of tokenizer files, for tokenizer.c. What changes ids and is not
 * implemented is refused with a message, never ignored. */
#ifndef TEXT_LOAD_H
#define TEXT_LOAD_H

#include "text/tokenizer.h"

/* Each reads into *t, zeroed before. On failure *t is still to be freed. Errors: ERR_BAD_MODEL
 * naming the file, ERR_MEMORY. */

/* text[0..n) of a tokenizer.json; name is for messages. dir: where the files beside it are; NULL: there are
 * none. */
bool load_tokenizer_json(Tokenizer *t, const char *text, size_t n, const char *name,
                         const Folder *dir, Error *e);

/* DIR/vocab.json, DIR/merges.txt and what lies beside them. */
bool load_vocab_and_merges(Tokenizer *t, const Folder *dir, Error *e);

/* The bytes of a spiece.model, and of a vocab.txt; path is for messages, dir as above. */
bool spiece_parse(Tokenizer *t, const char *bytes, size_t n, const char *path, const Folder *dir,
                  Error *e);
bool vocab_txt_parse(Tokenizer *t, const char *text, size_t n, const char *path, const Folder *dir,
                     Error *e);

#endif
