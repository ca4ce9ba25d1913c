/* eval/keys.c: ids by their text. */
#include "eval/keys.h"

#include <stdio.h>
#include <string.h>

enum { ID_MAX = 4096 };

static const json_t *member(const json_t *item, const char *key, const char *where, Error *e)
{
    const json_t *v = json_object_get(item, key);
    if (!json_is_object(item))
        error_set(e, ERR_FAILED, "%s: expected an object", where);
    else if (!v)
        error_set(e, ERR_FAILED, "%s: %s: expected one, got nothing", where, key);
    return v;
}

/* The text of an id and its length; a number is written to room. */
static const char *id_text(const json_t *item, const char *key, char room[32], size_t *n,
                           const char *where, Error *e)
{
    const json_t *v = member(item, key, where, e);
    if (json_is_integer(v)) {
        *n = (size_t)snprintf(room, 32, "%lld", (long long)json_integer_value(v));
        return room;
    }
    if (json_is_string(v) && json_string_length(v) <= ID_MAX) {
        *n = json_string_length(v);
        return json_string_value(v);
    }
    if (v)
        error_set(e, ERR_FAILED, "%s: %s: expected an integer or a string", where, key);
    return NULL;
}

uint32_t keys_add(Keys *k, const json_t *item, const char *key, bool *fresh, const char *where,
                  Error *e)
{
    char room[32];
    size_t n;
    const char *text = id_text(item, key, room, &n, where, e);
    if (!text)
        return NO_WORD;
    uint32_t number = words_find(&k->words, text, n);
    *fresh = number == NO_WORD;
    if (!*fresh)
        return number;
    char *copy = arena_alloc(&k->text, n + 1);
    if (copy) {
        memcpy(copy, text, n);
        copy[n] = 0;
        number = words_number(&k->words, copy, n);
    }
    if (number == NO_WORD)
        error_memory(e, where, n);
    return number;
}

uint32_t keys_find(const Keys *k, const json_t *item, const char *key, const char *of,
                   const char *where, Error *e)
{
    char room[32];
    size_t n;
    const char *text = id_text(item, key, room, &n, where, e);
    uint32_t number = text ? words_find(&k->words, text, n) : NO_WORD;
    if (text && number == NO_WORD)
        error_set(e, ERR_FAILED, "%s: %s: expected one of %s, got %.*s", where, key, of,
                  (int)(n < 80 ? n : 80), text);
    return number;
}

const char *keys_text(const Keys *k, uint32_t number)
{
    return words_text(&k->words, number);
}

void keys_free(Keys *k)
{
    words_free(&k->words);
    arena_free(&k->text);
}

const json_t *item_text(const json_t *item, const char *key, const char *where, Error *e)
{
    const json_t *v = member(item, key, where, e);
    if (!v || json_is_string(v))
        return v;
    error_set(e, ERR_FAILED, "%s: %s: expected a string", where, key);
    return NULL;
}
