/* text.h: small things with strings: UTF-8, wrapped paragraphs, numbers for people. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Offset of the first byte that is not UTF-8; -1: there is none. */
long utf8_fault(const char *text);
/* A copy of text[0..n) in which each maximal ill-formed part is U+FFFD, as Unicode 3.9 recommends;
 * *length bytes, not terminated. Free with free(). */
char *utf8_clean(const char *text, size_t n, size_t *length);

/* Writes text to standard output, broken at spaces so that no line has more than 79 columns; every
 * line but the first starts with indent spaces, and the first is taken to start at column `at`.
 * Ends with a newline. */
void wrap(const char *text, int at, int indent);
/* "  label   text", the text from `column` on and wrapped beside the label. */
void fact(int column, const char *label, const char *text);

/* Three digits of the largest unit: "13.8 MB", "7.49 GB" (decimal, as disks and downloads are sold). */
const char *size_text(char buffer[32], uint64_t bytes);
/* 12,345,678 */
const char *count_text(char buffer[32], uint64_t n);

#endif
