/* text.h: small things with strings: UTF-8 for JSON, wrapped paragraphs, numbers for people. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A JSON string of n bytes; what is not UTF-8 (paths may hold anything) becomes U+FFFD, one for
 * each maximal ill-formed part as Unicode 3.9 recommends. */
json_t *json_text_n(const char *text, size_t n);
json_t *json_text(const char *text);
/* Offset of the first byte that is not UTF-8; -1: there is none. */
long utf8_fault(const char *text);
/* A finite number, else null. */
json_t *json_number(double value);
/* object[key] = value; takes the reference; exits when memory runs out. */
void json_put(json_t *object, const char *key, json_t *value);
/* The same at the end of an array. */
void json_add(json_t *array, json_t *value);

/* Writes text to f, broken at spaces so that no line is longer than width; every line but the first
 * starts with indent spaces, and the first is taken to start at column `at`. Ends with a newline. */
void wrap(FILE *f, const char *text, int at, int indent, int width);

/* Three digits of the largest unit: "13.8 MB", "7.49 GB" (decimal, as disks and downloads are sold). */
const char *size_text(char buffer[32], uint64_t bytes);
/* 12,345,678 */
const char *count_text(char buffer[32], uint64_t n);

#endif
