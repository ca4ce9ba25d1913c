/* Parts of a tokenizer.json that are the same whatever its vocabulary, for tests that make one. */
#ifndef TEXT_PARTS_H_OF_TESTS
#define TEXT_PARTS_H_OF_TESTS

#include <stddef.h>
#include "base/str.h"

#define UNIGRAM_PARTS                                                             \
    "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": " \
    "\"WhitespaceSplit\"}, "                                                      \
    "{\"type\": \"Metaspace\"}]}, \"decoder\": {\"type\": \"Metaspace\"}"
#define WORDPIECE_PARTS                                                              \
    "\"normalizer\": {\"type\": \"BertNormalizer\"}, \"pre_tokenizer\": {\"type\": " \
    "\"BertPreTokenizer\"}, "                                                        \
    "\"decoder\": {\"type\": \"WordPiece\"}"

static void add_many(StrBuf *out, const char *unit, size_t n)
{
    for (size_t i = 0; i < n; i++)
        strbuf_puts(out, unit);
}

#endif
