/* eval/ptb.h: the tokens of captions, as COCO's evaluation makes them.
 *
 * The reference runs Stanford's PTBTokenizer 3.4.1 (-preserveLines -lowerCase) and leaves out the tokens that are
 * punctuation. This is a lexer of its own with that behaviour, compared with the original by its results
 * (tests/data/eval, docs/EVALUATION.md says on how much). One thread at a time uses a Ptb. */
#ifndef EVAL_PTB_H
#define EVAL_PTB_H

#include "base/error.h"
#include "base/str.h"

typedef struct Ptb Ptb;

Ptb *ptb_new(Error *e); /* NULL: out of memory; freed with ptb_free */
void ptb_free(Ptb *p);  /* NULL is fine */

/* Tokenises text[0..n), valid UTF-8, lines that end with "\n". Appends to out for each
 * line its tokens with single blanks between them, and "\n"; as many lines as the text has. Lines are not
 * independent: as in the original, an abbreviation looks at what follows, be it in the next line. Characters that
 * other programs take for the end of a line are blanks (eval/lines.h makes captions to lines). False: out
 * of memory. Time is linear in the lines, and at worst quadratic in the length of one. */
bool ptb_tokenize(Ptb *p, const char *text, size_t n, StrBuf *out, Error *e);

/* The same for lines that the original has made tokens of: without punctuation and white space at the end of a line. */
void ptb_leave_out(const char *text, size_t n, StrBuf *out);

#endif
