/* eval/lines.h: captions as the lines that a tokenizer or another program reads. */
#ifndef EVAL_LINES_H
#define EVAL_LINES_H

#include <stddef.h>

#include "base/str.h"

/* Appends s[0..n), valid UTF-8, as one line: what some program takes for the end of a line (LF, VT, FF, CR, U+0085,
 * U+2028, U+2029) and U+0000 become blanks, and "\n" ends it. The reference replaces LF alone; with another one in a
 * caption its lines and pictures no longer belong together. */
void line_add(StrBuf *out, const char *s, size_t n);

#endif
