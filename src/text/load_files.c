/* vocab.json + merges.txt, with added_tokens.json, special_tokens_map.json and
 * tokenizer_config.json where present: what transformers' GPT2Tokenizer saves. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/kind.h"
#include "base/mem.h"
#include "base/utf8.h"

#include "text/kind_bpe.h"
#include "text/load.h"
#include "text/parts.h"

/* What the directory holds; the last three are optional (NULL: absent). */
typedef struct Files {
    json_t *vocab;
    char *merges;
    size_t merges_n;
    json_t *config, *map, *added;
} Files;

static bool read_text(const char *dir, const char *name, char **text, size_t *n, Error *e)
{
    char *path = path_join(dir, name);
    if (!path)
        return error_memory(e, name, strlen(dir));
    *text = (char *)file_read(path, TOKENIZER_FILE_MAX, n, ERR_BAD_MODEL, e);
    mem_free(path);
    return *text != NULL;
}

/* transformers writes "model_max_length": 1000000000000000019884624838656, which no JSON integer of
 * ours can hold, and which nobody needs: such digits become 999999999999999999. */
static void tame_integers(char *s, size_t n)
{
    enum { DIGITS = 18 };
    bool in_string = false;
    for (size_t i = 0, run = 0; i < n; i++) {
        bool escaped = in_string && s[i] == '\\';
        in_string ^= s[i] == '"';
        run = !in_string && s[i] >= '0' && s[i] <= '9' ? run + 1 : 0;
        if (run > DIGITS) {
            s[i - DIGITS] = ' ';
            memset(s + i + 1 - DIGITS, '9', DIGITS);
        }
        i += escaped;
    }
}

/* DIR/NAME as JSON object. An absent file is fine when optional: true with *doc NULL. */
static bool read_json(const char *dir, const char *name, bool optional, json_t **doc, Error *e)
{
    char *path = path_join(dir, name), *text = NULL;
    size_t n = 0;
    *doc = NULL;
    bool ok = path && optional && !file_exists(path);
    if (path && !ok && read_text(dir, name, &text, &n, e)) {
        tame_integers(text, n);
        *doc = json_parse(text, n, path, ERR_BAD_MODEL, e);
        ok = json_is_object(*doc) || error_set(e, ERR_BAD_MODEL, "%s: expected an object", path);
    }
    if (!path)
        error_memory(e, name, strlen(dir));
    mem_free(text);
    mem_free(path);
    return ok;
}

static bool read_files(Files *f, const char *dir, Error *e)
{
    return read_json(dir, "vocab.json", false, &f->vocab, e) &&
           read_text(dir, "merges.txt", &f->merges, &f->merges_n, e) &&
           read_json(dir, "tokenizer_config.json", true, &f->config, e) &&
           read_json(dir, "special_tokens_map.json", true, &f->map, e) &&
           read_json(dir, "added_tokens.json", true, &f->added, e);
}

static void free_files(Files *f)
{
    json_decref(f->vocab);
    json_decref(f->config);
    json_decref(f->map);
    json_decref(f->added);
    mem_free(f->merges);
}

/* --- merges.txt --------------------------------------------------------------------------------- */

static size_t count_lines(const char *s, size_t n)
{
    size_t lines = 1;
    for (size_t i = 0; i < n; i++)
        lines += s[i] == '\n';
    return lines;
}

static bool merge_line(Tokenizer *t, const char *s, size_t n, Error *e)
{
    if (n > 0 && s[n - 1] == '\r')
        n--;
    if (n == 0 || (n >= 8 && memcmp(s, "#version", 8) == 0))
        return true;
    size_t gap;
    if (!bpe_merge_gap(s, n, &gap))
        return error_set(e, ERR_BAD_MODEL, "merges.txt: merge %zu: expected \"a b\"",
                         bpe_of(t)->merge_n);
    return bpe_add_merge(bpe_of(t), &t->vocab, s, gap, s + gap + 1, n - gap - 1, "merges.txt", e);
}

static bool parse_merges(Tokenizer *t, const char *s, size_t n, Error *e)
{
    long bad = utf8_invalid(s, n);
    const char *kind = file_kind(s, n);
    if (kind)
        return error_set(e, ERR_BAD_MODEL, "merges.txt: file: expected merges, got %s", kind);
    if (bad >= 0)
        return error_set(e, ERR_BAD_MODEL, "merges.txt: invalid UTF-8 at byte %ld", bad);
    if (!bpe_init(bpe_of(t), &t->vocab, count_lines(s, n)))
        return error_memory(e, "merges.txt", n);
    for (size_t at = 0; at < n;) {
        const char *end = memchr(s + at, '\n', n - at);
        size_t k = end ? (size_t)(end - s) - at : n - at;
        if (!merge_line(t, s + at, k, e))
            return false;
        at += k + 1;
    }
    return true;
}

/* --- added and special tokens ------------------------------------------------------------------- */

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
            !tokenizer_add(t, json_string_value(text), json_string_length(text), id, flags, WHERE,
                           e))
            return false;
    }
    return true;
}

/* added_tokens.json: {"<image>": 50265} */
static bool add_legacy(Tokenizer *t, const json_t *added, Error *e)
{
    static const char WHERE[] = "added_tokens.json";
    const char *text;
    json_t *id;
    json_object_foreach((json_t *)(uintptr_t)added, text, id)
    {
        AddedToken flags = {.normalized = true};
        if (!json_is_integer(id))
            return error_set(e, ERR_BAD_MODEL, "%s: \"%.40s\": expected an integer id", WHERE,
                             text);
        if (!tokenizer_add(t, text, strlen(text), json_integer_value(id), flags, WHERE, e))
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

/* special_tokens_map.json and tokenizer_config.json name special tokens alike. */
static bool add_specials(Tokenizer *t, const json_t *o, const char *where, Error *e)
{
    static const char *const KEYS[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                       "pad_token", "cls_token", "mask_token"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        if (!add_special(t, json_object_get(o, KEYS[i]), where, e))
            return false;
    const json_t *more = json_object_get(o, "additional_special_tokens");
    for (size_t i = 0; i < json_array_size(more); i++)
        if (!add_special(t, json_array_get(more, i), where, e))
            return false;
    return true;
}

/* --- the rest of tokenizer_config.json ---------------------------------------------------------- */

static const char *bos_text(const Files *f)
{
    const json_t *v = json_object_get(f->config, "bos_token");
    if (!v || json_is_null(v))
        v = json_object_get(f->map, "bos_token");
    const char *text = json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);
    return text ? text : "</s>";
}

/* OPT's GPT2Tokenizer puts its bos, "</s>", in front; GPT-2's own puts nothing. */
static bool set_template(Tokenizer *t, const Files *f, Error *e)
{
    const char *text = bos_text(f);
    int id = vocab_find(&t->vocab, text, strlen(text));
    bool add;
    if (!json_get_flag(f->config, "add_bos_token", id >= 0 && strcmp(text, "</s>") == 0, &add,
                       "tokenizer_config.json", e))
        return false;
    if (add && id < 0)
        return error_set(e, ERR_BAD_MODEL,
                         "tokenizer_config.json: bos_token: expected a token, got \"%.40s\"", text);
    if (add)
        t->prefix[t->prefix_n++] = id;
    return true;
}

static bool check_class(const json_t *config, Error *e)
{
    const char *name;
    if (!json_get_text(config, "tokenizer_class", "GPT2Tokenizer", &name, "tokenizer_config.json",
                       e))
        return false;
    return strcmp(name, "GPT2Tokenizer") == 0 || strcmp(name, "GPT2TokenizerFast") == 0 ||
           error_set(e, ERR_BAD_MODEL,
                     "tokenizer_config.json: tokenizer_class: expected GPT2Tokenizer, got %.40s",
                     name);
}

static bool load_files(Tokenizer *t, const Files *f, Error *e)
{
    static const char CONFIG[] = "tokenizer_config.json";
    return check_class(f->config, e) && load_vocab(t, f->vocab, "vocab.json", e) &&
           parse_merges(t, f->merges, f->merges_n, e) &&
           json_get_flag(f->config, "add_prefix_space", false, &bpe_of(t)->prefix_space, CONFIG,
                         e) &&
           add_decoder(t, f->config, e) && add_legacy(t, f->added, e) &&
           add_specials(t, f->map, "special_tokens_map.json", e) &&
           add_specials(t, f->config, CONFIG, e) && set_template(t, f, e);
}

bool load_vocab_and_merges(Tokenizer *t, const char *dir, Error *e)
{
    Files f = {0};
    bool ok = tokenizer_set_kind(t, &KIND_BPE, dir, e) && read_files(&f, dir, e);
    if (ok && !load_files(t, &f, e)) {
        error_prefix(e, dir);
        ok = false;
    }
    free_files(&f);
    return ok;
}
