/* text/class.c: see text/class.h. */
#include "text/class.h"

#include <stdio.h>
#include <string.h>

#include "text/parts.h"

static const char CONFIG[] = "tokenizer_config.json";

TokenizerClass class_for(const Beside *b, const char *model)
{
    static const char *const MODEL[] = {
        [AS_FILE] = "", [AS_GPT2] = "BPE", [AS_T5] = "Unigram", [AS_BERT] = "WordPiece"};
    return strcmp(MODEL[b->as], model) == 0 ? b->as : AS_FILE;
}

/* --- names --------------------------------------------------------------------------------------- */

static const struct {
    TokenizerClass as;
    const char *key, *text;
} NAMES[] = {
    {AS_GPT2, "bos_token", "<|endoftext|>"}, {AS_GPT2, "eos_token", "<|endoftext|>"},
    {AS_GPT2, "unk_token", "<|endoftext|>"}, {AS_T5, "eos_token", "</s>"},
    {AS_T5, "unk_token", "<unk>"},           {AS_T5, "pad_token", "<pad>"},
    {AS_BERT, "unk_token", "[UNK]"},         {AS_BERT, "sep_token", "[SEP]"},
    {AS_BERT, "pad_token", "[PAD]"},         {AS_BERT, "cls_token", "[CLS]"},
    {AS_BERT, "mask_token", "[MASK]"},
};

/* The text that a file has for the name, or else the class's. */
static const char *name_of(const Beside *b, const char *key, const char *own)
{
    const char *where;
    const json_t *v = beside_named(b, key, &where);
    const char *text = json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);
    return text ? text : own;
}

const char *class_unknown(const Beside *b)
{
    return name_of(b, "unk_token", "[UNK]");
}

static bool add_if_known(Tokenizer *t, const char *text, const char *where, Error *e)
{
    int id = vocab_find(&t->vocab, text, strlen(text));
    return id < 0 ||
           tokenizer_add(t, text, strlen(text), id, (AddedToken){.special = true}, where, e);
}

bool class_extra_ids(const Beside *b, int *n, Error *e)
{
    enum { EXTRA_IDS = 100, EXTRA_IDS_MAX = 100000 };
    int64_t k;
    bool ok = json_get_int(b->config, "extra_ids", EXTRA_IDS, 0, EXTRA_IDS_MAX, &k, CONFIG, e);
    *n = ok ? (int)k : 0;
    return ok;
}

static bool add_extra_ids(Tokenizer *t, const Beside *b, const char *where, Error *e)
{
    int n;
    bool ok = class_extra_ids(b, &n, e);
    for (int i = 0; ok && i < n; i++) {
        char text[32];
        snprintf(text, sizeof text, "<extra_id_%d>", i);
        ok = add_if_known(t, text, where, e);
    }
    return ok;
}

/* One that is not in the vocabulary would get an id there that no model has a row for: that is left out. */
bool class_add_names(Tokenizer *t, const Beside *b, TokenizerClass as, const char *where, Error *e)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        bool named =
            json_object_get(b->config, NAMES[i].key) || json_object_get(b->map, NAMES[i].key);
        if (NAMES[i].as == as && !named && !add_if_known(t, NAMES[i].text, where, e))
            return false;
    }
    return as != AS_T5 || add_extra_ids(t, b, where, e);
}

/* --- template ------------------------------------------------------------------------------------ */

static bool find_name(const Tokenizer *t, const Beside *b, const char *key, const char *own,
                      const char *where, int *id, Error *e)
{
    const char *text = name_of(b, key, own);
    *id = vocab_find(&t->vocab, text, strlen(text));
    return *id >= 0 ||
           error_set(e, ERR_BAD_MODEL, "%s: expected a token \"%.40s\", got none", where, text);
}

bool class_template(Tokenizer *t, const Beside *b, TokenizerClass as, const char *where, Error *e)
{
    t->prefix_n = as == AS_BERT;
    t->suffix_n = 1;
    if (as == AS_T5)
        return find_name(t, b, "eos_token", "</s>", where, &t->suffix[0], e);
    return find_name(t, b, "cls_token", "[CLS]", where, &t->prefix[0], e) &&
           find_name(t, b, "sep_token", "[SEP]", where, &t->suffix[0], e);
}

/* --- tokenizer.json as a class reads it ----------------------------------------------------------- */

static void drop(json_t *o, const char *const *key, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_object_del(o, key[i]);
}

static bool rebuild_gpt2(json_t *doc, const Beside *b, const char *dir, Error *e)
{
    static const char *const MODEL[] = {"dropout",
                                        "unk_token",
                                        "continuing_subword_prefix",
                                        "end_of_word_suffix",
                                        "fuse_unk",
                                        "byte_fallback",
                                        "ignore_merges"};
    bool prefix_space;
    if (!json_get_flag(b->config, "add_prefix_space", false, &prefix_space, CONFIG, e)) {
        error_prefix(e, dir);
        return false;
    }
    drop(json_object_get(doc, "model"), MODEL, sizeof MODEL / sizeof *MODEL);
    json_object_del(doc, "normalizer");
    return (json_object_set_new(doc, "pre_tokenizer",
                                json_pack("{s:s, s:b}", "type", "ByteLevel", "add_prefix_space",
                                          (int)prefix_space)) == 0 &&
            json_object_set_new(doc, "decoder", json_pack("{s:s}", "type", "ByteLevel")) == 0) ||
           error_memory(e, dir, 256);
}

/* The first of the normalizers that is a character map; NULL: none is. */
static json_t *find_charsmap(const json_t *doc)
{
    json_t *p = json_object_get(doc, "normalizer"), *list = json_object_get(p, "normalizers");
    bool many = strcmp(load_part_type(p), "Sequence") == 0;
    for (size_t i = 0; i < (many ? json_array_size(list) : 1); i++) {
        json_t *one = many ? json_array_get(list, i) : p;
        if (strcmp(load_part_type(one), "Precompiled") == 0 &&
            json_object_get(one, "precompiled_charsmap"))
            return one;
    }
    return NULL;
}

static bool rebuild_t5(json_t *doc, const char *dir, Error *e)
{
    static const char *const MODEL[] = {"byte_fallback"};
    json_t *map = json_incref(find_charsmap(doc)), *model = json_object_get(doc, "model");
    drop(model, MODEL, 1);
    json_object_del(doc, "normalizer");
    bool ok = (!map || json_object_set(doc, "normalizer", map) == 0) &&
              json_object_set_new(model, "unk_id", json_integer(2)) == 0 &&
              json_object_set_new(doc, "pre_tokenizer",
                                  json_pack("{s:s, s:[{s:s}, {s:s}]}", "type", "Sequence",
                                            "pretokenizers", "type", "WhitespaceSplit", "type",
                                            "Metaspace")) == 0 &&
              json_object_set_new(doc, "decoder", json_pack("{s:s}", "type", "Metaspace")) == 0;
    json_decref(map);
    return ok || error_memory(e, dir, 256);
}

bool class_check_uncased(const Beside *b, const char *dir, Error *e)
{
    static const char *const MUST[] = {"do_lower_case", "strip_accents", "tokenize_chinese_chars",
                                       "do_basic_tokenize"};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof MUST / sizeof *MUST; i++) {
        bool on;
        ok = json_get_flag(b->config, MUST[i], true, &on, CONFIG, e) &&
             (on || error_set(e, ERR_BAD_MODEL, "%s: %s: false is not supported", CONFIG, MUST[i]));
    }
    if (!ok)
        error_prefix(e, dir);
    return ok;
}

static bool rebuild_bert(json_t *doc, const Beside *b, const char *dir, Error *e)
{
    static const char *const MODEL[] = {"continuing_subword_prefix", "max_input_chars_per_word"};
    json_t *model = json_object_get(doc, "model");
    if (!class_check_uncased(b, dir, e))
        return false;
    drop(model, MODEL, 2);
    return (json_object_set_new(model, "unk_token", json_string(class_unknown(b))) == 0 &&
            json_object_set_new(doc, "normalizer", json_pack("{s:s}", "type", "BertNormalizer")) ==
                0 &&
            json_object_set_new(doc, "pre_tokenizer",
                                json_pack("{s:s}", "type", "BertPreTokenizer")) == 0 &&
            json_object_set_new(doc, "decoder", json_pack("{s:s}", "type", "WordPiece")) == 0) ||
           error_memory(e, dir, 256);
}

bool class_rebuild(json_t *doc, const Beside *b, TokenizerClass as, const char *dir, Error *e)
{
    if (as != AS_FILE && beside_lists_added(b))
        json_object_del(doc, "added_tokens");
    switch (as) {
    case AS_GPT2: return rebuild_gpt2(doc, b, dir, e);
    case AS_T5: return rebuild_t5(doc, dir, e);
    case AS_BERT: return rebuild_bert(doc, b, dir, e);
    default: return true;
    }
}
