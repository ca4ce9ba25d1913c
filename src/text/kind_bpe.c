/* The parts of tokenizer.json that are BPE's (model, pre_tokenizer, decoder, normalizer), and the
 * kind. */
#include "text/kind_bpe.h"

#include <string.h>

#include "text/parts.h"

/* --- merges ------------------------------------------------------------------------------------- */

static bool load_merge(Tokenizer *t, const json_t *m, size_t index, const char *where, Error *e)
{
    const json_t *a = json_array_get(m, 0), *b = json_array_get(m, 1);
    if (json_is_string(a) && json_is_string(b) && json_array_size(m) == 2)
        return bpe_add_merge(bpe_of(t), &t->vocab, json_string_value(a), json_string_length(a),
                             json_string_value(b), json_string_length(b), where, e);
    const char *text = json_is_string(m) ? json_string_value(m) : "";
    size_t n = json_is_string(m) ? json_string_length(m) : 0;
    size_t gap;
    if (!bpe_merge_gap(text, n, &gap))
        return error_set(e, ERR_BAD_MODEL, "%s: merges[%zu]: expected \"a b\" or [\"a\", \"b\"]",
                         where, index);
    return bpe_add_merge(bpe_of(t), &t->vocab, text, gap, text + gap + 1, n - gap - 1, where, e);
}

static bool load_merges(Tokenizer *t, const json_t *merges, const char *where, Error *e)
{
    if (!json_is_array(merges))
        return error_set(e, ERR_BAD_MODEL, "%s: merges: expected a list", where);
    size_t n = json_array_size(merges);
    if (!bpe_init(bpe_of(t), &t->vocab, n))
        return error_memory(e, where, n * sizeof(BpeMerge));
    for (size_t i = 0; i < n; i++)
        if (!load_merge(t, json_array_get(merges, i), i, where, e))
            return false;
    return true;
}

/* --- options ------------------------------------------------------------------------------------ */

static bool load_unknown(Tokenizer *t, const json_t *model, const char *where, Error *e)
{
    const char *unknown;
    if (!json_get_text(model, "unk_token", NULL, &unknown, where, e) ||
        !json_get_flag(model, "fuse_unk", false, &bpe_of(t)->fuse_unknown, where, e))
        return false;
    if (unknown)
        bpe_of(t)->unknown = vocab_find(&t->vocab, unknown, strlen(unknown));
    return true;
}

static bool load_pre_tokenizer(Tokenizer *t, const json_t *doc, const char *file, Error *e)
{
    const json_t *p = json_object_get(doc, "pre_tokenizer");
    bool split;
    if (!load_expect_type(doc, "pre_tokenizer", "ByteLevel", file, e) ||
        !json_get_flag(p, "add_prefix_space", true, &bpe_of(t)->prefix_space, file, e) ||
        !json_get_flag(p, "use_regex", true, &split, file, e))
        return false;
    bpe_of(t)->whole_piece = !split;
    return true;
}

/* --- the kind ---------------------------------------------------------------------------------- */

static bool kind_load(Tokenizer *t, const json_t *doc, const char *file, Error *e)
{
    static const char *const OFF[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix",
                                      "byte_fallback", "ignore_merges"};
    const json_t *model = json_object_get(doc, "model");
    for (size_t i = 0; i < sizeof OFF / sizeof *OFF; i++)
        if (!load_expect_off(model, OFF[i], file, e))
            return false;
    return load_expect_type(doc, "normalizer", "", file, e) &&
           load_expect_type(doc, "decoder", "ByteLevel", file, e) &&
           load_vocab(t, json_object_get(model, "vocab"), file, e) &&
           load_merges(t, json_object_get(model, "merges"), file, e) &&
           load_unknown(t, model, file, e) && load_pre_tokenizer(t, doc, file, e);
}

static bool kind_encode(const Tokenizer *t, const char *s, size_t n, Ids *out)
{
    return bpe_encode(bpe_of(t), s, n, out);
}

static bool kind_decode(const Tokenizer *t, const int *ids, size_t n, StrBuf *out)
{
    return bpe_decode(&t->vocab, ids, n, out);
}

static void kind_free(void *data)
{
    bpe_free(data);
}

const TokenizerKind KIND_BPE = {"BPE",       sizeof(Bpe), kind_load, NULL,
                                kind_encode, kind_decode, kind_free};
