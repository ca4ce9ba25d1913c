/* eval/external.h: metrics and tokens by the programs that define them, which the user has. They are run with java from
 * PATH, or a shell; one line of error where that fails. */
#ifndef EVAL_EXTERNAL_H
#define EVAL_EXTERNAL_H

#include "base/str.h"
#include "eval/caption_metrics.h"

/* Stanford's PTBTokenizer, -preserveLines -lowerCase, on lines; raw output, as many lines. */
bool jar_tokenize(const char *jar, const char *text, size_t n, StrBuf *out, Error *e);

/* METEOR 1.5 (-l en -norm) of tokens, by its -stdio protocol; the corpus' number, 0 to 1. */
bool jar_meteor(const char *jar, const CaptionCase *cases, size_t n, double *corpus, Error *e);

/* SPICE 1.0, the mean of the pictures' F, 0 to 1. It writes its files into a folder of its own below TMPDIR. */
bool jar_spice(const char *jar, const CaptionCase *cases, size_t n, double *corpus, Error *e);

/* A shell command that writes a line for each that it reads. */
bool command_lines(const char *command, const char *text, size_t n, StrBuf *out, Error *e);

#endif
