/* text/load_vocab_txt.c: vocab.txt, one token per line, with what lies beside it: BERT's uncased tokenizer as
 * transformers makes one of these files (models/bert/tokenization_bert.py). */
#include <string.h>

#include "base/kind.h"
#include "base/mem.h"
#include "base/utf8.h"

#include "text/beside.h"
#include "text/kind_wordpiece.h"
#include "text/load.h"
#include "text/parts.h"

enum { LONGEST_WORD = 100 };

/* As Python reads lines: a carriage return before the end belongs to it. */
static bool add_lines(Tokenizer *t, const char *s, size_t n, const char *path, Error *e)
{
    int64_t id = 0;
    for (size_t at = 0; at < n; id++) {
        const char *end = memchr(s + at, '\n', n - at);
        size_t k = end ? (size_t)(end - s) - at : n - at, next = at + k + 1;
        if (k > 0 && s[at + k - 1] == '\r')
            k--;
        if (!vocab_add(&t->vocab, s + at, k, id, path, e))
            return false;
        at = next;
    }
    return id > 0 ||
           error_set(e, ERR_BAD_MODEL, "%s: expected a token in each line, got none", path);
}

/* BertTokenizer's own special tokens and template, which the files beside need not name. */
static bool add_defaults(Tokenizer *t, const char *path, Error *e)
{
    static const char *const NAMES[] = {"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"};
    for (int i = 0; i < 5; i++) {
        size_t n = strlen(NAMES[i]);
        int id = vocab_find(&t->vocab, NAMES[i], n);
        if (id >= 0 && !tokenizer_add(t, NAMES[i], n, id, (AddedToken){.special = true}, path, e))
            return false;
        if (id < 0 && i < 2)
            return error_set(e, ERR_BAD_MODEL, "%s: expected a token \"%s\", got none", path,
                             NAMES[i]);
        if (i < 2)
            *(i ? &t->suffix[t->suffix_n++] : &t->prefix[t->prefix_n++]) = id;
    }
    return true;
}

/* Only what the tables of the uncased models say is known here. */
static bool check_config(const json_t *config, Error *e)
{
    static const char *const MUST[] = {"do_lower_case", "strip_accents", "tokenize_chinese_chars",
                                       "do_basic_tokenize"};
    for (size_t i = 0; i < sizeof MUST / sizeof *MUST; i++) {
        bool on;
        if (!json_get_flag(config, MUST[i], true, &on, "tokenizer_config.json", e))
            return false;
        if (!on)
            return error_set(e, ERR_BAD_MODEL, "tokenizer_config.json: %s: false is not supported",
                             MUST[i]);
    }
    return true;
}

bool vocab_txt_parse(Tokenizer *t, const char *text, size_t n, const char *path, const Folder *dir,
                     Error *e)
{
    Beside beside = {0};
    long bad = utf8_invalid(text, n);
    const char *kind = file_kind(text, n);
    if (kind)
        return error_set(e, ERR_BAD_MODEL, "%s: file: expected one token per line, got %s", path,
                         kind);
    if (bad >= 0)
        return error_set(e, ERR_BAD_MODEL, "%s: invalid UTF-8 at byte %ld", path, bad);
    bool ok =
        tokenizer_set_kind(t, &KIND_WORDPIECE, path, e) && (!dir || beside_read(&beside, dir, e));
    if (ok && !check_config(beside.config, e)) {
        error_prefix(e, dir->path);
        ok = false;
    }
    ok = ok && add_lines(t, text, n, path, e) &&
         wordpiece_ready(t, "[UNK]", LONGEST_WORD, path, e) && add_defaults(t, path, e) &&
         (!dir || beside_add_tokens(t, &beside, dir->path, e));
    beside_free(&beside);
    return ok;
}
