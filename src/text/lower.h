/* text/lower.h: lower case as Python's str.lower() has it. For text/ and eval/. */
#ifndef TEXT_LOWER_H
#define TEXT_LOWER_H

#include <stddef.h>
#include "base/str.h"

/* Appends s[0..n), valid UTF-8, in lower case. */
void lower_add(StrBuf *out, const char *s, size_t n);

#endif
