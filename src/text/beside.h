/* text/beside.h: the small files beside a vocabulary, which say how it is used, for load_json.c and
 * load_files.c. transformers reads them together with tokenizer.json, and where they differ they win.
 * Errors: ERR_BAD_MODEL naming the file, ERR_MEMORY. */
#ifndef TEXT_BESIDE_H
#define TEXT_BESIDE_H

#include <jansson.h>
#include "text/kind.h"

enum { TOKENIZER_FILE_MAX = 16 << 20 }; /* bytes; real ones have up to ten million */

/* Starts as {0}, ends with beside_free. A file that is not there is NULL. */
typedef struct Beside {
    json_t *config, *map,
        *added; /* tokenizer_config.json, special_tokens_map.json, added_tokens.json */
    bool
        gpt2; /* transformers makes a GPT2Tokenizer of it: tokenizer_class, or the model's, says so */
} Beside;

bool beside_read(Beside *b, const Folder *dir, Error *e);
void beside_free(Beside *b);

/* Adds the tokens that these files name, and notes whether special tokens are to be split. dir is for
 * messages. */
bool beside_add_tokens(Tokenizer *t, const Beside *b, const char *dir, Error *e);

/* GPT2Tokenizer takes vocabulary, merges, added tokens and template from tokenizer.json and makes all the
 * rest anew, by tokenizer_config.json (transformers 5.24, convert_to_native_format and models/gpt2/
 * tokenization_gpt2.py): doc becomes what that amounts to. */
bool beside_as_gpt2(json_t *doc, Beside *b, const char *dir, Error *e);

/* DIR/NAME as text, to be freed, or as a JSON object. An absent file is fine when optional: true with *doc
 * NULL. */
bool beside_text(const Folder *dir, const char *name, char **text, size_t *n, Error *e);
bool beside_json(const Folder *dir, const char *name, bool optional, json_t **doc, Error *e);

#endif
