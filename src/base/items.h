/* base/items.h: the elements of a list in a JSON file, one at a time: annotations have millions of them, and memory is
 * that of the largest one. */
#ifndef BASE_ITEMS_H
#define BASE_ITEMS_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

/* Gets an element, which is freed afterwards; where: "FILE: annotations 12" for messages. False ends the walk. */
typedef bool ItemFn(void *self, const json_t *item, const char *where, Error *e);

/* Walks over the list that the file is (member NULL), or over the member of that name of the object that it is; where there
 * is no such member: true when `needed` is false. Errors (ERR_FAILED, one line, the file in front): not there, no JSON, no
 * list, an element with a duplicate key. Other members are stepped over, and only their brackets and strings looked at. */
bool items_each(const char *path, const char *member, bool needed, ItemFn *fn, void *self,
                Error *e);

/* The same over text in memory. */
bool items_each_in(const char *text, size_t n, const char *path, const char *member, bool needed,
                   ItemFn *fn, void *self, Error *e);

/* The same with `at`, where the element begins in text, for item_at. */
typedef bool ItemPlaceFn(void *self, const json_t *item, size_t at, const char *where, Error *e);
bool items_places_in(const char *text, size_t n, const char *path, const char *member, bool needed,
                     ItemPlaceFn *fn, void *self, Error *e);

/* The element that begins at `at`; the caller frees it with json_decref. NULL: text is not what it was, ERR_FAILED with
 * `where` in front, or ERR_MEMORY. */
json_t *item_at(const char *text, size_t n, size_t at, const char *where, Error *e);

#endif
