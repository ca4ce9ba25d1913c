/* text/charsmap.h: the normalisation that a sentencepiece model carries along: replacements of characters, in a
 * precompiled trie (darts-clone's double array). Applied as huggingface/tokenizers does it
 * (spm_precompiled, normalizers/precompiled.rs), by grapheme clusters, and not as sentencepiece itself does,
 * by the longest match. For inside of text/ only. */
#ifndef TEXT_CHARSMAP_H
#define TEXT_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"

/* {0}: nothing is replaced. */
typedef struct Charsmap {
    uint32_t *unit; /* the trie */
    char *text;     /* replacements, each zero-terminated */
    size_t unit_n, text_n;
} Charsmap;

/* blob: its size in bytes (32 bits, little-endian), the trie, the texts; copied. `where` begins the message.
 * ERR_BAD_MODEL, ERR_MEMORY; *c is to be freed in any case. */
bool charsmap_read(Charsmap *c, const void *blob, size_t n, const char *where, Error *e);
void charsmap_free(Charsmap *c);

/* Appends s[0..n), valid UTF-8, normalised. */
void charsmap_apply(const Charsmap *c, const char *s, size_t n, StrBuf *out);

#endif
