/* text/beside.c: tokenizer_config.json, special_tokens_map.json, added_tokens.json. What of them counts is as
 * in transformers 5.24, tokenization_utils_base.py, _from_pretrained. */
#include "text/beside.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "text/parts.h"

bool beside_text(const Folder *dir, const char *name, char **text, size_t *n, Error *e)
{
    *text = folder_read(dir, name, TOKENIZER_FILE_MAX, n, ERR_BAD_MODEL, e);
    return *text != NULL;
}

/* DIR/NAME as JSON object. An absent file is fine when optional: true with *doc NULL. */
bool beside_json(const Folder *dir, const char *name, bool optional, json_t **doc, Error *e)
{
    int there = optional ? folder_has(dir, name) : 1;
    char *path = there > 0 ? folder_path(dir, name) : NULL, *text = NULL;
    size_t n = 0;
    *doc = NULL;
    bool ok = there == 0;
    if (path && beside_text(dir, name, &text, &n, e)) {
        *doc = json_parse(text, n, path, ERR_BAD_MODEL, e);
        ok = json_is_object(*doc) || error_set(e, ERR_BAD_MODEL, "%s: expected an object", path);
    }
    if (there && !path)
        error_memory(e, name, strlen(dir->path));
    mem_free(text);
    mem_free(path);
    return ok;
}

/* Classes, and the model types whose class they are where tokenizer_config.json says none (auto/
 * tokenization_auto.py, TOKENIZER_MAPPING_NAMES). */
static const struct {
    const char *name, *fast, *types[3];
    TokenizerClass as;
} CLASSES[] = {{"GPT2Tokenizer", "GPT2TokenizerFast", {"blip-2", "opt", "gpt2"}, AS_GPT2},
               {"T5Tokenizer", "T5TokenizerFast", {"t5"}, AS_T5},
               {"BertTokenizer", "BertTokenizerFast", {"bert"}, AS_BERT}};
enum { CLASS_COUNT = sizeof CLASSES / sizeof *CLASSES };

static TokenizerClass class_of_model(const char *type)
{
    for (int i = 0; i < CLASS_COUNT; i++)
        for (int k = 0; k < 3 && CLASSES[i].types[k]; k++)
            if (strcmp(type, CLASSES[i].types[k]) == 0)
                return CLASSES[i].as;
    return AS_FILE;
}

static bool find_class_of_model(Beside *b, const Folder *dir, Error *e)
{
    json_t *model;
    if (!beside_json(dir, "config.json", true, &model, e))
        return false;
    const char *type = json_string_value(json_object_get(model, "model_type"));
    b->as = type ? class_of_model(type) : AS_FILE;
    json_decref(model);
    return true;
}

static bool find_class(Beside *b, const Folder *dir, Error *e)
{
    const char *name;
    if (!json_get_text(b->config, "tokenizer_class", NULL, &name, "tokenizer_config.json", e)) {
        error_prefix(e, dir->path);
        return false;
    }
    for (int i = 0; name && i < CLASS_COUNT; i++)
        if (strcmp(name, CLASSES[i].name) == 0 || strcmp(name, CLASSES[i].fast) == 0)
            b->as = CLASSES[i].as;
    return name || find_class_of_model(b, dir, e);
}

bool beside_read(Beside *b, const Folder *dir, Error *e)
{
    return beside_json(dir, "tokenizer_config.json", true, &b->config, e) &&
           beside_json(dir, "special_tokens_map.json", true, &b->map, e) &&
           beside_json(dir, "added_tokens.json", true, &b->added, e) && find_class(b, dir, e);
}

void beside_free(Beside *b)
{
    json_decref(b->config);
    json_decref(b->map);
    json_decref(b->added);
    *b = (Beside){0};
}

bool beside_lists_added(const Beside *b)
{
    return json_is_object(json_object_get(b->config, "added_tokens_decoder"));
}

/* --- added and special tokens ------------------------------------------------------------------- */

/* An added token under the id that its text has already, else `id`, or the next one where that is
 * another token's. */
static bool add_token(Tokenizer *t, const char *s, size_t n, long long id, AddedToken flags,
                      const char *where, Error *e)
{
    int known = vocab_find(&t->vocab, s, n);
    bool taken = known < 0 && tokenizer_has(t, (int)id) && id == (int)id;
    long long got = known >= 0 ? known : taken ? t->vocab.size : id;
    if (got != id)
        note_add(&t->notes, "%s: \"%.40s\": %lld, where the vocabulary %s %lld", where, s, id,
                 taken ? "has another token: it gets" : "says", got);
    return tokenizer_add(t, s, n, got, flags, where, e);
}

/* tokenizer_config.json: "added_tokens_decoder": {"50265": {"content": "<image>", flags}} */
static bool add_decoder(Tokenizer *t, const json_t *config, Error *e)
{
    static const char WHERE[] = "tokenizer_config.json: added_tokens_decoder";
    const char *key;
    json_t *o;
    json_object_foreach(json_object_get(config, "added_tokens_decoder"), key, o)
    {
        const json_t *text = json_object_get(o, "content");
        char *end;
        long long id = strtoll(key, &end, 10);
        AddedToken flags = {0};
        if (!json_is_string(text) || !*key || *end)
            return error_set(e, ERR_BAD_MODEL, "%s: \"%.40s\": expected {id: {\"content\": ...}}",
                             WHERE, key);
        if (!load_added_flags(o, &flags, WHERE, e) ||
            !add_token(t, json_string_value(text), json_string_length(text), id, flags, WHERE, e))
            return false;
    }
    return true;
}

/* A special token: "text" or {"content": "text", flags}. One that has no id yet gets the next. */
static bool add_special(Tokenizer *t, const json_t *v, const char *where, Error *e)
{
    const json_t *text = json_is_object(v) ? json_object_get(v, "content") : v;
    AddedToken flags = {0};
    if (!v || json_is_null(v))
        return true;
    if (!json_is_string(text))
        return error_set(e, ERR_BAD_MODEL, "%s: expected a text or {\"content\": ...}", where);
    if (json_is_object(v) && !load_added_flags(v, &flags, where, e))
        return false;
    flags.special = true;
    int id = vocab_find(&t->vocab, json_string_value(text), json_string_length(text));
    return tokenizer_add(t, json_string_value(text), json_string_length(text),
                         id >= 0 ? id : t->vocab.size, flags, where, e);
}

static const char *const NAMED[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                    "pad_token", "cls_token", "mask_token"};
enum { NAMED_COUNT = sizeof NAMED / sizeof *NAMED };

/* special_tokens_map.json wins, but only where tokenizer_config.json does not list the added tokens. */
const json_t *beside_named(const Beside *b, const char *key, const char **where)
{
    const json_t *v = beside_lists_added(b) ? NULL : json_object_get(b->map, key);
    *where = v ? "special_tokens_map.json" : "tokenizer_config.json";
    return v ? v : json_object_get(b->config, key);
}

static bool is_text(const json_t *v, const char *text)
{
    const char *s = json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);
    return s && strcmp(s, text) == 0;
}

/* One of these files names it as a special token. */
static bool is_special(const Beside *b, const char *text)
{
    static const char *const LISTS[] = {"extra_special_tokens", "additional_special_tokens"};
    const char *where;
    for (int i = 0; i < NAMED_COUNT; i++)
        if (is_text(beside_named(b, NAMED[i], &where), text))
            return true;
    for (int k = 0; k < 2; k++) {
        const json_t *list = beside_named(b, LISTS[k], &where);
        for (size_t i = 0; i < json_array_size(list); i++)
            if (is_text(json_array_get(list, i), text))
                return true;
    }
    return false;
}

/* added_tokens.json: {"<image>": 50265} */
static bool add_legacy(Tokenizer *t, const Beside *b, Error *e)
{
    static const char WHERE[] = "added_tokens.json";
    const char *text;
    json_t *id;
    json_object_foreach(b->added, text, id)
    {
        bool special = is_special(b, text);
        AddedToken flags = {.special = special, .normalized = !special};
        if (!json_is_integer(id))
            return error_set(e, ERR_BAD_MODEL, "%s: \"%.40s\": expected an integer id", WHERE,
                             text);
        if (!add_token(t, text, strlen(text), json_integer_value(id), flags, WHERE, e))
            return false;
    }
    return true;
}

static bool add_named(Tokenizer *t, const Beside *b, Error *e)
{
    const char *where = NULL;
    for (int i = 0; i < NAMED_COUNT; i++) {
        const json_t *v = beside_named(b, NAMED[i], &where);
        if (!add_special(t, v, where, e))
            return false;
    }
    return true;
}

/* A list of tokens, or {name: token}. */
static bool add_more(Tokenizer *t, const Beside *b, const char *key, Error *e)
{
    const char *where, *name;
    json_t *list = (json_t *)(uintptr_t)beside_named(b, key, &where), *v;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!add_special(t, json_array_get(list, i), where, e))
            return false;
    json_object_foreach(list, name, v)
    {
        if (!add_special(t, v, where, e))
            return false;
    }
    return true;
}

static bool is_named(const char *key)
{
    for (int i = 0; i < NAMED_COUNT; i++)
        if (strcmp(NAMED[i], key) == 0)
            return true;
    return false;
}

/* Tokens of models of one family: "image_token": "<image>". */
static bool add_family(Tokenizer *t, const Beside *b, Error *e)
{
    const char *key;
    json_t *v;
    json_object_foreach(b->config, key, v)
    {
        if (json_is_string(v) && str_ends(key, "_token") && !is_named(key) &&
            !add_special(t, v, "tokenizer_config.json", e))
            return false;
    }
    return true;
}

bool beside_add_tokens(Tokenizer *t, const Beside *b, const char *dir, Error *e)
{
    bool listed = beside_lists_added(b);
    bool ok = json_get_flag(b->config, "split_special_tokens", false, &t->split_special,
                            "tokenizer_config.json", e) &&
              add_decoder(t, b->config, e) && (listed || add_legacy(t, b, e)) &&
              add_named(t, b, e) && add_more(t, b, "extra_special_tokens", e) &&
              add_more(t, b, "additional_special_tokens", e) && add_family(t, b, e);
    if (!ok)
        error_prefix(e, dir);
    return ok;
}
