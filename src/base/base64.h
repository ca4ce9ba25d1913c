/* base/base64.h: bytes written as text (RFC 4648, section 4), for readers of JSON. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/* The bytes of s[0..n), *out_n of them, padding optional at the end; mem_free them. NULL: not base64
 * (*out_n is 0), or no memory for so many. */
void *base64_decode(const char *s, size_t n, size_t *out_n);

#endif
