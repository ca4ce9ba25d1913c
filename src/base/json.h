/* base/json.h: jansson with bounds, and typed access with one-line errors. For every reader of JSON
 * files but safetensors headers (ckpt/scan.h says why).
 *
 * Documents come from strangers: their size is limited by the caller, nesting to 128 levels before
 * jansson sees the text, duplicate keys are refused, numbers are range-checked. A byte order mark in
 * front is no part of the text. Messages begin with the file, and name the key or the line, or what
 * was recognised instead (base/kind.h). */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdint.h>
#include <jansson.h>
#include "base/error.h"

/* Parses text (need not be zero-terminated); name is for messages. The caller owns the result and
 * frees it with json_decref. NULL: `code` "NAME: line N: bad JSON: ...", or ERR_MEMORY. */
json_t *json_parse(const char *text, size_t n, const char *name, ErrorCode code, Error *e);

/* The same from a file of at most `limit` bytes. Errors are those of file_read and json_parse. */
json_t *json_load_path(const char *path, size_t limit, ErrorCode code, Error *e);

/* Typed members of an object (o NULL or no object: as if it were empty). A missing or null key
 * gives the default; a wrong type or a value out of [min,max] is ERR_BAD_MODEL "FILE: KEY: expected
 * an integer in [min, max], got X". */
bool json_get_int(const json_t *o, const char *key, int64_t def, int64_t min, int64_t max,
                  int64_t *out, const char *file, Error *e);
bool json_get_real(const json_t *o, const char *key, double def, double *out, const char *file,
                   Error *e);
bool json_get_flag(const json_t *o, const char *key, bool def, bool *out, const char *file,
                   Error *e);
/* The string stays owned by the document. */
bool json_get_text(const json_t *o, const char *key, const char *def, const char **out,
                   const char *file, Error *e);

#endif
