/* text/load_files.c: vocab.json + merges.txt, with added_tokens.json, special_tokens_map.json and
 * tokenizer_config.json where present: what transformers' GPT2Tokenizer saves. */
#include <string.h>

#include "base/kind.h"
#include "base/mem.h"
#include "base/utf8.h"

#include "text/beside.h"
#include "text/kind_bpe.h"
#include "text/load.h"
#include "text/parts.h"

typedef struct Files {
    json_t *vocab;
    char *merges;
    size_t merges_n;
    Beside beside;
} Files;

static bool read_files(Files *f, const Folder *dir, Error *e)
{
    return beside_json(dir, "vocab.json", false, &f->vocab, e) &&
           beside_text(dir, "merges.txt", &f->merges, &f->merges_n, e) &&
           beside_read(&f->beside, dir, e);
}

static void free_files(Files *f)
{
    json_decref(f->vocab);
    beside_free(&f->beside);
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

/* --- the rest of tokenizer_config.json ---------------------------------------------------------- */

static const char *bos_text(const Files *f)
{
    const json_t *v = json_object_get(f->beside.config, "bos_token");
    if (!v || json_is_null(v))
        v = json_object_get(f->beside.map, "bos_token");
    const char *text = json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);
    return text ? text : "</s>";
}

/* OPT's GPT2Tokenizer puts its bos, "</s>", in front; GPT-2's own puts nothing. */
static bool set_template(Tokenizer *t, const Files *f, Error *e)
{
    const char *text = bos_text(f);
    int id = vocab_find(&t->vocab, text, strlen(text));
    bool add;
    if (!json_get_flag(f->beside.config, "add_bos_token", id >= 0 && strcmp(text, "</s>") == 0,
                       &add, "tokenizer_config.json", e))
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

static bool load_vocabulary(Tokenizer *t, const Files *f, Error *e)
{
    static const char CONFIG[] = "tokenizer_config.json";
    return check_class(f->beside.config, e) && load_vocab(t, f->vocab, "vocab.json", e) &&
           parse_merges(t, f->merges, f->merges_n, e) &&
           json_get_flag(f->beside.config, "add_prefix_space", false, &bpe_of(t)->prefix_space,
                         CONFIG, e);
}

static bool load_files(Tokenizer *t, const Files *f, const char *dir, Error *e)
{
    bool ok = load_vocabulary(t, f, e);
    if (!ok)
        error_prefix(e, dir);
    ok = ok && beside_add_tokens(t, &f->beside, dir, e);
    if (ok && !set_template(t, f, e)) {
        error_prefix(e, dir);
        ok = false;
    }
    return ok;
}

bool load_vocab_and_merges(Tokenizer *t, const Folder *dir, Error *e)
{
    Files f = {0};
    bool ok = tokenizer_set_kind(t, &KIND_BPE, dir->path, e) && read_files(&f, dir, e) &&
              load_files(t, &f, dir->path, e);
    free_files(&f);
    return ok;
}
