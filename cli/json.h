/* json.h: JSON to standard output, for every command that has --json. Like memory.h these do not
 * return when memory runs out, so values can be put together without a check. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A JSON string of n bytes; what is not UTF-8 (paths may hold anything) becomes U+FFFD. */
json_t *json_text_n(const char *text, size_t n);
/* NULL is null. */
json_t *json_text(const char *text);
/* A finite number, else null. */
json_t *json_number(double value);
/* A number of bytes of which 0 means that it is not known: null. */
json_t *json_known(uint64_t bytes);
/* object[key] = value; takes the reference, also of NULL, which is memory run out. */
void json_put(json_t *object, const char *key, json_t *value);
/* object[key] = a path. One that is not UTF-8 has U+FFFD where it is not; its bytes, which differ
 * from those of every other name, are then object[key_bytes] in base64 (RFC 4648). */
void json_put_path(json_t *object, const char *key, const char *path);
/* The same as json_put at the end of an array. */
void json_add(json_t *array, json_t *value);

/* One line of JSON to standard output; takes the reference, as json_put. */
void out_json(json_t *value);
/* The same with as many digits as it takes to read the same numbers again. */
void out_json_exact(json_t *value);

#endif
