/* text/kind.c: a tokenizer in the making: its kind, its added tokens. */
#include "text/kind.h"

#include "base/mem.h"
#include "base/utf8.h"

enum { SHOWN_BYTES = 40 };

bool tokenizer_set_kind(Tokenizer *t, const TokenizerKind *kind, const char *where, Error *e)
{
    t->kind = kind;
    t->data = mem_calloc(1, kind->bytes);
    return t->data || error_memory(e, where, kind->bytes);
}

bool tokenizer_add(Tokenizer *t, const char *text, size_t n, int64_t id, AddedToken flags,
                   const char *where, Error *e)
{
    if (n == 0) /* can match nowhere; the reference drops it as well */
        return true;
    if (n > ADDED_BYTES_MAX)
        return error_set(e, ERR_BAD_MODEL, "%s: \"%.*s\": expected at most %d bytes, got %zu",
                         where, (int)utf8_cut(text, n, SHOWN_BYTES), text, ADDED_BYTES_MAX, n);
    int known = vocab_find(&t->vocab, text, n);
    if ((known < 0 || known != id) && !vocab_add(&t->vocab, text, n, id, where, e))
        return false;
    VocabToken *token = &t->vocab.token[id];
    bool again = token->added;
    token->special |= flags.special;
    token->added = true;
    flags.id = (int)id;
    return again || added_push(&t->added[flags.normalized], flags) || error_memory(e, where, n);
}
