/* base/utf8.h: UTF-8, strict (no overlong forms, no surrogates, nothing above U+10FFFF). Strings
 * have a length and may hold U+0000. For whoever reads text of strangers. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

/* The length (1..4) of the code point that starts at s[0..n), n >= 1, and the code point in *cp.
 * Where none starts: the length of the maximal invalid subpart, and U+FFFD. */
int utf8_next(const char *s, size_t n, uint32_t *cp, bool *valid);

/* The length of a byte order mark in front: 3, or 0. Some editors put one there. */
size_t utf8_mark(const void *s, size_t n);

/* Writes cp (at most U+10FFFF) to out; returns the length. */
int utf8_put(uint32_t cp, char out[4]);

/* Byte offset of the first invalid byte, or -1 when all of s[0..n) is valid. */
long utf8_invalid(const char *s, size_t n);

/* Appends s[0..n), each maximal invalid subpart replaced by U+FFFD (Unicode 16, table 3-8; what
 * Rust's String::from_utf8_lossy does). */
void utf8_add_lossy(StrBuf *out, const char *s, size_t n);

/* The largest k <= min(n, limit) at which s can be cut without splitting a code point. */
size_t utf8_cut(const char *s, size_t n, size_t limit);

#endif
