/* ckpt/scan.h: a strict JSON reader that works in place, for safetensors.c.
 *
 * Why not jansson: a hostile header of 100 MB would become gigabytes of tree. This reads token by
 * token, needs no memory and cannot recurse. Every function that finds something else than it
 * expects sets the error "FILE: OBJECT: header byte N: expected X, got Y" and returns false. */
#ifndef CKPT_SCAN_H
#define CKPT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

typedef struct Scan {
    const unsigned char *p, *start, *end;
    const char *file;
    const char *tensor; /* whose entry is being read, or NULL */
    Error *e;
} Scan;

bool scan_fail(const Scan *s, const char *expected);
bool scan_token(Scan *s, char c);  /* white space, then c */
bool scan_accept(Scan *s, char c); /* as scan_token, but false without an error; stays before it */

/* A string, unescaped, zero-terminated, of at most cap - 1 bytes. U+0000 and invalid UTF-8 are
 * errors. With buf NULL the string is checked and skipped, however long. */
bool scan_string(Scan *s, char *buf, size_t cap);

/* A number without sign, fraction and exponent, at most INT64_MAX. */
bool scan_count(Scan *s, uint64_t *v);

bool scan_end(Scan *s); /* nothing but white space is left */

#endif
