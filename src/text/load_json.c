/* text/load_json.c: tokenizer.json (huggingface/tokenizers): what all kinds share. */
#include <string.h>

#include "text/class.h"
#include "text/kind_bpe.h"
#include "text/kind_unigram.h"
#include "text/kind_wordpiece.h"
#include "text/load.h"
#include "text/parts.h"

/* --- added tokens, template --------------------------------------------------------------------- */

static bool load_added(Tokenizer *t, const json_t *doc, const char *file, Error *e)
{
    const json_t *list = json_object_get(doc, "added_tokens");
    if (list && !json_is_null(list) && !json_is_array(list))
        return error_set(e, ERR_BAD_MODEL, "%s: added_tokens: expected a list", file);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i), *text = json_object_get(o, "content");
        const json_t *id = json_object_get(o, "id");
        AddedToken flags = {0};
        if (!json_is_string(text) || !json_is_integer(id))
            return error_set(e, ERR_BAD_MODEL,
                             "%s: added_tokens[%zu]: expected \"content\" and an integer \"id\"",
                             file, i);
        if (!load_added_flags(o, &flags, file, e) ||
            !tokenizer_add(t, json_string_value(text), json_string_length(text),
                           json_integer_value(id), flags, file, e))
            return false;
    }
    return true;
}

static bool bad_template(const char *file, const char *what, Error *e)
{
    return error_set(e, ERR_BAD_MODEL, "%s: post_processor: %s", file, what);
}

static bool template_push(Tokenizer *t, bool behind, const json_t *id, const char *file, Error *e)
{
    int *n = behind ? &t->suffix_n : &t->prefix_n;
    json_int_t k = json_is_integer(id) ? json_integer_value(id) : -1;
    size_t bytes;
    if (k < 0 || k >= t->vocab.size || !vocab_text(&t->vocab, (int)k, &bytes))
        return bad_template(file, "expected ids of tokens", e);
    if (*n == TEMPLATE_MAX)
        return bad_template(file, "expected at most 16 ids on each side", e);
    (behind ? t->suffix : t->prefix)[(*n)++] = (int)k;
    return true;
}

/* {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": name}}, {"Sequence": ...}],
 * "special_tokens": {name: {"ids": [...]}}} */
static bool load_template(Tokenizer *t, const json_t *p, const char *file, Error *e)
{
    const json_t *single = json_object_get(p, "single");
    int texts = 0;
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *item = json_array_get(single, i);
        const json_t *special = json_object_get(item, "SpecialToken");
        const char *name = json_string_value(json_object_get(special, "id"));
        const json_t *entry = json_object_get(json_object_get(p, "special_tokens"), name);
        const json_t *ids = json_object_get(entry, "ids");
        texts += json_object_get(item, "Sequence") != NULL;
        if (special && !json_is_array(ids))
            return bad_template(file, "special token without ids", e);
        for (size_t k = 0; special && k < json_array_size(ids); k++)
            if (!template_push(t, texts > 0, json_array_get(ids, k), file, e))
                return false;
    }
    return texts == 1 || bad_template(file, "expected one text in \"single\"", e);
}

/* {"type": "RobertaProcessing", "cls": [text, id], "sep": [text, id]} */
static bool load_cls_sep(Tokenizer *t, const json_t *p, const char *file, Error *e)
{
    return template_push(t, false, json_array_get(json_object_get(p, "cls"), 1), file, e) &&
           template_push(t, true, json_array_get(json_object_get(p, "sep"), 1), file, e);
}

static bool load_post_processor(Tokenizer *t, const json_t *p, const char *file, Error *e)
{
    const char *type = load_part_type(p);
    if (!*type || strcmp(type, "ByteLevel") == 0) /* ByteLevel here only moves offsets */
        return true;
    if (t->prefix_n + t->suffix_n > 0)
        return bad_template(file, "expected one template, got more", e);
    if (strcmp(type, "TemplateProcessing") == 0)
        return load_template(t, p, file, e);
    if (strcmp(type, "RobertaProcessing") == 0 || strcmp(type, "BertProcessing") == 0)
        return load_cls_sep(t, p, file, e);
    const json_t *list = json_object_get(p, "processors");
    if (strcmp(type, "Sequence") != 0 || !json_is_array(list))
        return error_set(e, ERR_BAD_MODEL,
                         "%s: post_processor: expected TemplateProcessing, got %.40s", file, type);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!load_post_processor(t, json_array_get(list, i), file, e))
            return false;
    return true;
}

/* --- the file ----------------------------------------------------------------------------------- */

static const TokenizerKind *find_kind(const char *name)
{
    static const TokenizerKind *const KINDS[] = {&KIND_BPE, &KIND_UNIGRAM, &KIND_WORDPIECE, NULL};
    const TokenizerKind *const *kind = KINDS;
    while (*kind && strcmp((*kind)->name, name) != 0)
        kind++;
    return *kind;
}

static const char *model_type(const json_t *model)
{
    /* Files older than tokenizers 0.10 do not name the type. */
    if (!json_object_get(model, "type") && json_object_get(model, "merges"))
        return "BPE";
    return load_part_type(model);
}

/* Tokens and template, with the vocabulary there; dir NULL: there are no files beside it. */
static bool load_rest(Tokenizer *t, const json_t *doc, const char *file, const char *dir,
                      const Beside *b, TokenizerClass as, Error *e)
{
    if (!load_added(t, doc, file, e) || !class_add_names(t, b, as, file, e) ||
        (dir && !beside_add_tokens(t, b, dir, e)))
        return false;
    return as == AS_T5 || as == AS_BERT
               ? class_template(t, b, as, file, e)
               : load_post_processor(t, json_object_get(doc, "post_processor"), file, e);
}

static bool load_document(Tokenizer *t, json_t *doc, const char *file, const Folder *dir, Beside *b,
                          Error *e)
{
    const json_t *model = json_object_get(doc, "model");
    if (!json_is_object(model))
        return error_set(e, ERR_BAD_MODEL, "%s: model: expected an object", file);
    const char *type = model_type(model);
    const TokenizerKind *kind = find_kind(type);
    TokenizerClass as = class_for(b, type);
    if (!kind)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: model.type: expected BPE, Unigram or WordPiece, got \"%.40s\"", file,
                         type);
    return class_rebuild(doc, b, as, dir ? dir->path : file, e) &&
           tokenizer_set_kind(t, kind, file, e) && kind->load(t, doc, file, e) &&
           load_rest(t, doc, file, dir ? dir->path : NULL, b, as, e);
}

bool load_tokenizer_json(Tokenizer *t, const char *text, size_t n, const char *name,
                         const Folder *dir, Error *e)
{
    Beside b = {0};
    json_t *doc = json_parse(text, n, name, ERR_BAD_MODEL, e);
    bool ok = doc && (!dir || beside_read(&b, dir, e)) && load_document(t, doc, name, dir, &b, e);
    beside_free(&b);
    json_decref(doc);
    return ok;
}
