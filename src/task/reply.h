/* task/reply.h: from generated ids to text, whole and while they come. For the engine; what came piece by
 * piece is the beginning of the whole. */
#ifndef TASK_REPLY_H
#define TASK_REPLY_H

#include "base/str.h"
#include "text/tokenizer.h"

/* The text of an item so far. {0} with a tokenizer is an empty one; freed by reply_free. */
typedef struct Reply {
    const Tokenizer *tokenizer;
    bool clean; /* LAVIS' clean-up of spaces */
    Ids ids;
    StrBuf shown; /* what the pieces together have said */
} Reply;

/* ids -> text as the library's own decoding gives it: special tokens skipped, cleaned up, stripped.
 * Unless `whole`, only as much of it as further ids cannot change. out is empty before and
 * zero-terminated after. false: out of memory. */
bool reply_text(const Reply *r, const int *ids, size_t n, bool whole, StrBuf *out);

/* One more id. *piece, in `text` (empty before), is what it adds to the shown text; last: no id
 * follows. false: out of memory; the reply is then as before. */
bool reply_add(Reply *r, int id, bool last, StrBuf *text, const char **piece);
void reply_free(Reply *r);

#endif
