/* eval/keys.h: the ids of pictures and questions, and typed members of the items of result files. */
#ifndef EVAL_KEYS_H
#define EVAL_KEYS_H

#include <jansson.h>

#include "base/mem.h"
#include "eval/words.h"

/* Ids in the order in which they came. Starts as {0}, freed by keys_free. */
typedef struct Keys {
    Words words;
    Arena text;
} Keys;

/* The number of the id that item[key] is, an integer or a string; the integer 7 and the string "7" are the same one.
 * A new one is added, and *fresh set. NO_WORD: item is no object, the key is missing or of another type (ERR_FAILED), or
 * memory ended. */
uint32_t keys_add(Keys *k, const json_t *item, const char *key, bool *fresh, const char *where,
                  Error *e);
/* The same without adding: an id that is not there is an error, "WHERE: KEY: expected one of OF, got ID". */
uint32_t keys_find(const Keys *k, const json_t *item, const char *key, const char *of,
                   const char *where, Error *e);
/* For messages; belongs to k. */
const char *keys_text(const Keys *k, uint32_t number);
void keys_free(Keys *k);

/* item[key], a string; NULL: ERR_FAILED. */
const json_t *item_text(const json_t *item, const char *key, const char *where, Error *e);

#endif
