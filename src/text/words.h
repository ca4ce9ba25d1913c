/* text/words.h: the splitter of byte-level BPE; for bpe.c. */
#ifndef TEXT_WORDS_H
#define TEXT_WORDS_H

#include <stddef.h>

/* The end of the word that starts at s[at], at < n, s[0..n) valid UTF-8. Words follow each other
 * without gaps. GPT-2's pattern (openai/gpt-2 encoder.py), first alternative that matches:
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t word_end(const char *s, size_t n, size_t at);

#endif
