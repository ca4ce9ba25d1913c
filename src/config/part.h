/* config/part.h: a sticky reader of JSON objects, for the files that parse (parse.h).
 *
 * After the first error all readers return their default at once, so that reading functions can be
 * plain lists of fields. A missing or null key has its default. Errors are ERR_BAD_MODEL "DIR/FILE:
 * PART: KEY: expected X, got Y", and ERR_MEMORY. */
#ifndef CONFIG_PART_H
#define CONFIG_PART_H

#include "base/json.h"

/* One object of a file. */
typedef struct JsonPart {
    const json_t *o; /* NULL: absent, every key has its default; belongs to the document */
    char where[768]; /* "DIR/config.json: vision_config" */
    Error *e;
} JsonPart;

/* The whole file, whose text is text[0..n); NULL: there is no such file. The caller frees the
 * document, which may be NULL, with json_decref. */
json_t *part_open(JsonPart *p, const char *text, size_t n, const char *dir, const char *name,
                  Error *e);

/* The object that is a member of p. */
void part_child(JsonPart *out, const JsonPart *p, const char *key);

const json_t *part_member(const JsonPart *p,
                          const char *key); /* of any type; NULL: missing or null */
int part_whole(const JsonPart *p, const char *key, int def, int min, int max);
double part_real(const JsonPart *p, const char *key, double def, double min, double max);
bool part_flag(const JsonPart *p, const char *key, bool def);
const char *part_text(const JsonPart *p, const char *key,
                      const char *def); /* belongs to the document */

/* Settings of which one value is supported; a missing one is taken for that. */
void part_must_be(const JsonPart *p, const char *key, const char *want);
void part_must_flag(const JsonPart *p, const char *key, bool want);

#endif
