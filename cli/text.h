/* text.h: small things with strings: UTF-8, wrapped paragraphs, numbers for people. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Offset of the first byte that is not UTF-8; -1: there is none. */
long utf8_fault(const char *text);
/* What is wrong there: "WHAT: byte 3: expected UTF-8, got 0xff". */
const char *fault_text(char buffer[128], const char *what, const char *text, long at);
/* A copy of text[0..n) in which each maximal ill-formed part is U+FFFD, as Unicode 3.9 recommends;
 * *length bytes, not terminated. Free with free(). */
char *utf8_clean(const char *text, size_t n, size_t *length);

/* What a terminal is given of the character that text[0..n) begins with, n >= 1: *length bytes at
 * *shown. What it would obey instead of showing is `mark`: control characters, C0 and C1, DEL, and
 * those that turn the direction of writing (U+202A to U+202E, U+2066 to U+2069). An ill-formed part
 * is U+FFFD, and so are C1 controls as bytes. Returns how many bytes that stood for, at least 1.
 * out_plain, wrap, fact, complain, progress and streams put all they write through this. */
size_t harmless(const char *text, size_t n, const char *mark, const char **shown, size_t *length);

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
