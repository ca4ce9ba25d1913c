/* text/kind_unigram.c: the parts of tokenizer.json that are Unigram's (model, normalizer, pre_tokenizer, decoder), and
 * the kind. */
#include "text/kind_unigram.h"

#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/parts.h"

/* --- pieces -------------------------------------------------------------------------------------- */

/* A longer one would make encoding slow; sentencepiece makes them of 16 characters. */
enum { PIECE_BYTES_MAX = 1024 };

bool unigram_take(Tokenizer *t, const char *text, size_t n, double score, const char *where,
                  Error *e)
{
    Unigram *u = unigram_of(t);
    long bad = utf8_invalid(text, n);
    if (bad >= 0)
        return error_set(e, ERR_BAD_MODEL, "%s: piece %d: invalid UTF-8 at byte %ld", where, u->n,
                         bad);
    if (n > PIECE_BYTES_MAX)
        return error_set(e, ERR_BAD_MODEL, "%s: piece %d: expected at most %d bytes, got %zu",
                         where, u->n, PIECE_BYTES_MAX, n);
    if (score != score || score > 1e30 || score < -1e30)
        return error_set(e, ERR_BAD_MODEL, "%s: piece %d: expected a score, got %g", where, u->n,
                         score);
    return vocab_add(&t->vocab, text, n, u->n, where, e) &&
           (unigram_add(u, score) || error_memory(e, where, n));
}

/* Scores are those of the model, in single precision, printed with more digits. */
static bool load_pieces(Tokenizer *t, const json_t *model, const char *file, Error *e)
{
    const json_t *list = json_object_get(model, "vocab");
    const json_t *unknown = json_object_get(model, "unk_id");
    if (!json_is_array(list) || json_array_size(list) == 0)
        return error_set(e, ERR_BAD_MODEL, "%s: vocab: expected a list of [piece, score]", file);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        const json_t *text = json_array_get(o, 0), *score = json_array_get(o, 1);
        if (!json_is_string(text) || !json_is_number(score) || json_array_size(o) != 2)
            return error_set(e, ERR_BAD_MODEL, "%s: vocab[%zu]: expected [piece, score]", file, i);
        if (!unigram_take(t, json_string_value(text), json_string_length(text),
                          json_number_value(score), file, e))
            return false;
    }
    if (!json_is_integer(unknown) || json_integer_value(unknown) < 0 ||
        json_integer_value(unknown) >= unigram_of(t)->n)
        return error_set(e, ERR_BAD_MODEL, "%s: unk_id: expected the id of a piece", file);
    unigram_ready(unigram_of(t), &t->vocab, (int)json_integer_value(unknown));
    return true;
}

/* --- the other parts ------------------------------------------------------------------------------ */

static bool load_normalizer(Tokenizer *t, const json_t *p, const char *file, Error *e)
{
    const char *type = load_part_type(p);
    const json_t *list = json_object_get(p, "normalizers");
    if (strcmp(type, "Sequence") == 0 && json_array_size(list) == 1)
        return load_normalizer(t, json_array_get(list, 0), file, e);
    if (!*type)
        return true;
    const json_t *map = json_object_get(p, "precompiled_charsmap");
    if (strcmp(type, "Precompiled") != 0)
        return error_set(e, ERR_BAD_MODEL, "%s: normalizer: expected Precompiled, got %.40s", file,
                         type);
    if (!json_is_string(map))
        return error_set(e, ERR_BAD_MODEL, "%s: normalizer: expected a precompiled_charsmap", file);
    size_t n;
    void *blob = base64_decode(json_string_value(map), json_string_length(map), &n);
    if (!blob && n)
        return error_memory(e, file, n);
    bool ok = blob ? charsmap_read(&unigram_of(t)->normal, blob, n, file, e)
                   : error_set(e, ERR_BAD_MODEL,
                               "%s: normalizer: precompiled_charsmap: expected base64", file);
    mem_free(blob);
    return ok;
}

/* {"type": "Metaspace"}, with its default mark in front of every word. */
static bool check_metaspace(const json_t *p, const char *key, const char *file, Error *e)
{
    const char *mark, *scheme;
    bool prefix, split;
    if (strcmp(load_part_type(p), "Metaspace") != 0)
        return error_set(e, ERR_BAD_MODEL, "%s: %s: expected Metaspace, got %.40s", file, key,
                         load_part_type(p));
    if (!json_get_text(p, "replacement", "\xe2\x96\x81", &mark, file, e) ||
        !json_get_text(p, "prepend_scheme", "always", &scheme, file, e) ||
        !json_get_flag(p, "add_prefix_space", true, &prefix, file, e) ||
        !json_get_flag(p, "split", true, &split, file, e))
        return false;
    if (strcmp(mark, "\xe2\x96\x81") == 0 && strcmp(scheme, "always") == 0 && prefix && split)
        return true;
    return error_set(e, ERR_BAD_MODEL,
                     "%s: %s: expected Metaspace of U+2581 before every word, got another", file,
                     key);
}

/* WhitespaceSplit, then Metaspace. */
static bool check_pre_tokenizer(const json_t *p, const char *file, Error *e)
{
    const json_t *list = json_object_get(p, "pretokenizers");
    if (json_array_size(list) != 2 ||
        strcmp(load_part_type(json_array_get(list, 0)), "WhitespaceSplit") != 0)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: pre_tokenizer: expected WhitespaceSplit and Metaspace, got another",
                         file);
    return check_metaspace(json_array_get(list, 1), "pre_tokenizer", file, e);
}

static bool kind_load(Tokenizer *t, const json_t *doc, const char *file, Error *e)
{
    const json_t *model = json_object_get(doc, "model");
    return load_expect_off(model, "byte_fallback", file, e) &&
           load_normalizer(t, json_object_get(doc, "normalizer"), file, e) &&
           check_pre_tokenizer(json_object_get(doc, "pre_tokenizer"), file, e) &&
           check_metaspace(json_object_get(doc, "decoder"), "decoder", file, e) &&
           load_pieces(t, model, file, e);
}

/* --- the kind ------------------------------------------------------------------------------------ */

static bool kind_normalise(const Tokenizer *t, const char *s, size_t n, StrBuf *out)
{
    charsmap_apply(&unigram_of(t)->normal, s, n, out);
    return !out->failed;
}

static bool kind_encode(const Tokenizer *t, const char *s, size_t n, Ids *out)
{
    return unigram_encode(unigram_of(t), &t->vocab, s, n, out);
}

static bool kind_decode(const Tokenizer *t, const int *ids, size_t n, StrBuf *out)
{
    return unigram_decode(&t->vocab, ids, n, out);
}

static void kind_free(void *data)
{
    unigram_free(data);
}

const TokenizerKind KIND_UNIGRAM = {"Unigram",   sizeof(Unigram), kind_load, kind_normalise,
                                    kind_encode, kind_decode,     kind_free};
