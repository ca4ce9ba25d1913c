/* text/unicode.h: what the tokenizers know of characters, from the tables that tools/make_unicode.sh makes of
 * data/unicode. For text/ and eval/. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/* Ascending and disjoint; what is in none of a table's ranges is of class 0. */
typedef struct UnicodeRange {
    uint32_t first, last;
    int class;
} UnicodeRange;

/* Of the byte-level BPE splitter. */
typedef enum CharClass { CLASS_OTHER, CLASS_LETTER, CLASS_NUMBER, CLASS_SPACE } CharClass;
extern const UnicodeRange UNICODE_RANGES[];
extern const size_t UNICODE_RANGE_COUNT;
CharClass unicode_class(uint32_t cp);
bool unicode_python_space(uint32_t cp); /* str.isspace, and \s of Python's re */

/* Of grapheme clusters: what stands alone, continues the character before it, joins the one behind it. */
typedef enum ClusterClass {
    CLUSTER_OTHER,
    CLUSTER_EXTEND,
    CLUSTER_PREPEND,
    CLUSTER_CONTROL
} ClusterClass;
extern const UnicodeRange CLUSTER_RANGES[];
extern const size_t CLUSTER_RANGE_COUNT;
ClusterClass cluster_class(uint32_t cp);

/* What the uncased BERT normaliser does to a character: nothing, away with it, a space for it, spaces around it;
 * or it becomes others (BERT_MAPS). Hangul syllables are taken apart by rule. */
typedef enum BertClass { BERT_STAY, BERT_DROP, BERT_SPACE, BERT_CJK } BertClass;
typedef struct BertMap {
    uint32_t from;
    int at, n; /* BERT_MAPPED[at .. at + n) */
} BertMap;
extern const UnicodeRange BERT_RANGES[], BERT_PUNCTUATION[];
extern const BertMap BERT_MAPS[];
extern const size_t BERT_RANGE_COUNT, BERT_PUNCTUATION_COUNT, BERT_MAP_COUNT;
extern const uint32_t BERT_MAPPED[];

/* The longest list: a Hangul syllable, or of BERT_MAPS. */
enum { BERT_MAPPED_MAX = 4 };
/* The characters that cp becomes; their number. */
int bert_normalised(uint32_t cp, uint32_t to[BERT_MAPPED_MAX]);
bool bert_is_punctuation(uint32_t cp);

/* Of lower case: each step-th code point of first..last moves by so many. */
typedef struct LowerRange {
    uint32_t first, last;
    int step, by;
} LowerRange;
extern const LowerRange LOWER_RANGES[];
extern const UnicodeRange SIGMA_RANGES[];
extern const size_t LOWER_RANGE_COUNT, SIGMA_RANGE_COUNT;

/* cp in lower case, where that is one code point whatever stands beside it. */
uint32_t unicode_lower(uint32_t cp);
/* What a capital sigma, which is another at the end of a word, makes of a character beside it. */
typedef enum SigmaClass { SIGMA_OTHER, SIGMA_CASED, SIGMA_IGNORED } SigmaClass;
SigmaClass sigma_class(uint32_t cp);

#endif
