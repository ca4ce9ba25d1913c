/* text/load_vocab_txt.c: vocab.txt, one token per line, with what lies beside it: BERT's uncased tokenizer as
 * transformers makes one of these files (models/bert/tokenization_bert.py). */
#include <string.h>

#include "base/kind.h"
#include "base/mem.h"
#include "base/utf8.h"

#include "text/class.h"
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
        tokenizer_set_kind(t, &KIND_WORDPIECE, path, e) &&
        (!dir || (beside_read(&beside, dir, e) && class_check_uncased(&beside, dir->path, e))) &&
        add_lines(t, text, n, path, e) &&
        wordpiece_ready(t, class_unknown(&beside), LONGEST_WORD, path, e) &&
        class_add_names(t, &beside, AS_BERT, path, e) &&
        (!dir || beside_add_tokens(t, &beside, dir->path, e)) &&
        class_template(t, &beside, AS_BERT, path, e);
    beside_free(&beside);
    return ok;
}
