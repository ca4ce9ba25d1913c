/* text/beside.h: the small files beside a vocabulary, which say how it is used, for load_json.c and
 * load_files.c. transformers reads them together with tokenizer.json, and where they differ they win.
 * Errors: ERR_BAD_MODEL naming the file, ERR_MEMORY. */
#ifndef TEXT_BESIDE_H
#define TEXT_BESIDE_H

#include <jansson.h>
#include "text/kind.h"

enum { TOKENIZER_FILE_MAX = 16 << 20 }; /* bytes; real ones have up to ten million */

/* What transformers makes of these files: tokenizer_class, or the model's type, says so. AS_FILE: what tokenizer.json
 * says. */
typedef enum TokenizerClass { AS_FILE, AS_GPT2, AS_T5, AS_BERT } TokenizerClass;

/* Starts as {0}, ends with beside_free. A file that is not there is NULL. */
typedef struct Beside {
    json_t *config, *map,
        *added; /* tokenizer_config.json, special_tokens_map.json, added_tokens.json */
    TokenizerClass as;
} Beside;

bool beside_read(Beside *b, const Folder *dir, Error *e);
void beside_free(Beside *b);

/* Adds the tokens that these files name, and notes whether special tokens are to be split. dir is for
 * messages. */
bool beside_add_tokens(Tokenizer *t, const Beside *b, const char *dir, Error *e);

/* tokenizer_config.json has an added_tokens_decoder: then added tokens are those and no others. */
bool beside_lists_added(const Beside *b);

/* What the files say of "eos_token" and the like, NULL when nothing; *where: the file. */
const json_t *beside_named(const Beside *b, const char *key, const char **where);

/* DIR/NAME as text, to be freed, or as a JSON object. An absent file is fine when optional: true with *doc
 * NULL. */
bool beside_text(const Folder *dir, const char *name, char **text, size_t *n, Error *e);
bool beside_json(const Folder *dir, const char *name, bool optional, json_t **doc, Error *e);

#endif
