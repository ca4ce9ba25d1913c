/* text/parts.c: types, settings, vocabularies and flags of added tokens in JSON. */
#include "text/parts.h"

#include <string.h>

const char *load_part_type(const json_t *part)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    return type ? type : !part || json_is_null(part) ? "" : "?";
}

bool load_expect_type(const json_t *doc, const char *key, const char *want, const char *file,
                      Error *e)
{
    const char *got = load_part_type(json_object_get(doc, key));
    return strcmp(got, want) == 0 ||
           error_set(e, ERR_BAD_MODEL, "%s: %s: expected %s, got %.40s", file, key,
                     *want ? want : "none", *got ? got : "none");
}

bool load_expect_off(const json_t *o, const char *key, const char *file, Error *e)
{
    const json_t *v = json_object_get(o, key);
    bool off = !v || json_is_null(v) || json_is_false(v) ||
               (json_is_string(v) && json_string_length(v) == 0) ||
               (json_is_number(v) && json_number_value(v) == 0);
    return off || error_set(e, ERR_BAD_MODEL, "%s: %s: not supported", file, key);
}

bool load_vocab(Tokenizer *t, const json_t *vocab, const char *where, Error *e)
{
    if (json_object_size(vocab) == 0)
        return error_set(e, ERR_BAD_MODEL, "%s: vocab: expected an object {token: id}", where);
    const char *text;
    json_t *id;
    json_object_foreach((json_t *)(uintptr_t)vocab, text, id)
    {
        if (!json_is_integer(id))
            return error_set(e, ERR_BAD_MODEL, "%s: \"%.40s\": expected an integer id", where,
                             text);
        if (!vocab_add(&t->vocab, text, strlen(text), json_integer_value(id), where, e))
            return false;
    }
    return true;
}

bool load_added_flags(const json_t *o, AddedToken *flags, const char *where, Error *e)
{
    return json_get_flag(o, "special", false, &flags->special, where, e) &&
           json_get_flag(o, "lstrip", false, &flags->lstrip, where, e) &&
           json_get_flag(o, "rstrip", false, &flags->rstrip, where, e) &&
           json_get_flag(o, "normalized", true, &flags->normalized, where, e) &&
           load_expect_off(o, "single_word", where, e);
}
