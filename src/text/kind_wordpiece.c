/* text/kind_wordpiece.c: the parts of tokenizer.json that are WordPiece's (model, normalizer, pre_tokenizer, decoder),
 * and the kind. */
#include "text/kind_wordpiece.h"

#include <string.h>

#include "text/parts.h"

enum { LONGEST_WORD = 100, LONGEST_WORD_MAX = 1000 };

bool wordpiece_ready(Tokenizer *t, const char *unknown, int longest_word, const char *where,
                     Error *e)
{
    Wordpiece *w = t->data;
    size_t n;
    w->unknown = vocab_find(&t->vocab, unknown, strlen(unknown));
    w->longest_word = longest_word;
    w->tokens = t->vocab.size;
    for (int id = 0; id < t->vocab.size; id++)
        if (vocab_text(&t->vocab, id, &n) && n > w->longest)
            w->longest = n;
    size_t most = 4 * (size_t)longest_word + 2; /* no word has more bytes, "##" included */
    w->longest = w->longest < most ? w->longest : most;
    return w->unknown >= 0 || error_set(e, ERR_BAD_MODEL,
                                        "%s: unk_token: expected a token of the vocabulary, got "
                                        "\"%.40s\"",
                                        where, unknown);
}

/* The uncased normaliser is the one whose tables are here. */
static bool check_normalizer(const json_t *doc, const char *file, Error *e)
{
    const json_t *p = json_object_get(doc, "normalizer");
    bool clean, chinese, lower, strip;
    if (!load_expect_type(doc, "normalizer", "BertNormalizer", file, e) ||
        !json_get_flag(p, "clean_text", true, &clean, file, e) ||
        !json_get_flag(p, "handle_chinese_chars", true, &chinese, file, e) ||
        !json_get_flag(p, "lowercase", true, &lower, file, e) ||
        !json_get_flag(p, "strip_accents", lower, &strip, file, e))
        return false;
    return (clean && chinese && lower && strip) ||
           error_set(e, ERR_BAD_MODEL,
                     "%s: normalizer: expected that of uncased models, got another", file);
}

static bool check_decoder(const json_t *doc, const char *file, Error *e)
{
    const json_t *p = json_object_get(doc, "decoder");
    const char *mark;
    bool clean;
    if (!load_expect_type(doc, "decoder", "WordPiece", file, e) ||
        !json_get_text(p, "prefix", "##", &mark, file, e) ||
        !json_get_flag(p, "cleanup", true, &clean, file, e))
        return false;
    return (strcmp(mark, "##") == 0 && clean) ||
           error_set(e, ERR_BAD_MODEL,
                     "%s: decoder: expected prefix \"##\" and clean-up, got another", file);
}

static bool load_model(Tokenizer *t, const json_t *model, const char *file, Error *e)
{
    const char *unknown, *mark;
    const json_t *longest = json_object_get(model, "max_input_chars_per_word");
    json_int_t most = json_is_integer(longest) ? json_integer_value(longest) : LONGEST_WORD;
    if (!json_get_text(model, "unk_token", "[UNK]", &unknown, file, e) ||
        !json_get_text(model, "continuing_subword_prefix", "##", &mark, file, e))
        return false;
    if (strcmp(mark, "##") != 0)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: continuing_subword_prefix: expected \"##\", got \"%.40s\"", file,
                         mark);
    if (most < 1 || most > LONGEST_WORD_MAX)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: max_input_chars_per_word: expected 1 to %d, got %lld", file,
                         LONGEST_WORD_MAX, (long long)most);
    return load_vocab(t, json_object_get(model, "vocab"), file, e) &&
           wordpiece_ready(t, unknown, (int)most, file, e);
}

static bool kind_load(Tokenizer *t, const json_t *doc, const char *file, Error *e)
{
    return check_normalizer(doc, file, e) &&
           load_expect_type(doc, "pre_tokenizer", "BertPreTokenizer", file, e) &&
           check_decoder(doc, file, e) && load_model(t, json_object_get(doc, "model"), file, e);
}

static bool kind_normalise(const Tokenizer *t, const char *s, size_t n, StrBuf *out)
{
    (void)t;
    wordpiece_normalise(s, n, out);
    return !out->failed;
}

static bool kind_encode(const Tokenizer *t, const char *s, size_t n, Ids *out)
{
    return wordpiece_encode(t->data, &t->vocab, s, n, out);
}

static bool kind_decode(const Tokenizer *t, const int *ids, size_t n, StrBuf *out)
{
    return wordpiece_decode(&t->vocab, ids, n, out);
}

static void kind_free(void *data)
{
    (void)data;
}

const TokenizerKind KIND_WORDPIECE = {"WordPiece", sizeof(Wordpiece), kind_load, kind_normalise,
                                      kind_encode, kind_decode,       kind_free};
