/* text/unicode.h: the character classes of the byte-level BPE splitter, from the table that
 * tools/make_unicode.sh makes of data/unicode. For inside of text/ only. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

typedef enum CharClass { CLASS_OTHER, CLASS_LETTER, CLASS_NUMBER, CLASS_SPACE } CharClass;

typedef struct UnicodeRange {
    uint32_t first, last;
    CharClass class;
} UnicodeRange;

/* Ascending and disjoint; what is in none of them is CLASS_OTHER. */
extern const UnicodeRange UNICODE_RANGES[];
extern const size_t UNICODE_RANGE_COUNT;

CharClass unicode_class(uint32_t cp);

#endif
