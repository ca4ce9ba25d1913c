/* text/caption.h: what LAVIS makes of captions and questions before a model reads them
 * (lavis/processors/blip_processors.py, "blip_caption" and "blip_question"). Its data sets and notebooks do so; its
 * models, which take texts as they are, do not. Pure functions of the text. */
#ifndef TEXT_CAPTION_H
#define TEXT_CAPTION_H

#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

enum { CAPTION_WORDS = 50 }; /* what LAVIS keeps unless told otherwise */

/* Each appends to `out` what becomes of s[0..n), valid UTF-8: in lower case, and no more than `words` words. They
 * use time and memory in proportion to n. False: out of memory, and `out` is as it was, or has failed. */

/* . ! " ( ) * # : ; ~ become spaces, white space of two and more characters one space; without newlines at the end
 * and spaces around. A prompt in front is what `out` has already. */
bool caption_clean(const char *s, size_t n, size_t words, StrBuf *out);

/* The same characters vanish, and spaces at the end; all other white space stays, and two spaces have an empty word
 * between them. */
bool question_clean(const char *s, size_t n, size_t words, StrBuf *out);

#endif
