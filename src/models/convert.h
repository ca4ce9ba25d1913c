/* models/convert.h: a model of any family of files written as another. */
#ifndef MODELS_CONVERT_H
#define MODELS_CONVERT_H

#include "ckpt/source.h"
#include "models/preset.h"

typedef enum ConvertTo {
    CONVERT_HF,     /* a directory as transformers saves it */
    CONVERT_LAVIS,  /* a packed file whose tensors have LAVIS' names */
    CONVERT_PACKED, /* a packed file (ckpt/packed.h) */
} ConvertTo;

/* Called now and then with the bytes of weights that are written; false stops (ERR_STOPPED). */
typedef bool ConvertFn(void *user, uint64_t done, uint64_t total);

typedef struct ConvertOptions {
    ConvertTo to;
    ConvertFn *on_progress; /* may be NULL */
    void *user;
    Preset preset; /* quantises, for CONVERT_PACKED alone */
} ConvertOptions;

/* Writes the model to the file or directory `to`; weights keep their types, but for those that
 * the preset quantises. Every tensor of the source is either
 * written, or a part of one that is, or known to be none of the model's (models/extra.h). Weights pass through
 * a buffer, and are quantised there by all processors; at most the names, the scales of int8 weights, and the texts of tokenizer and configuration, are in memory. What is at `to`
 * appears whole or not at all: a file is replaced at the end; a directory, which must not be there or be
 * empty, has been TO.partial until then, and what an interrupted call has left of that is written over. Errors:
 * ERR_BAD_MODEL (a tensor is missing, misshapen, or without a place; parts do not fit each
 * other, weights to be quantised are no numbers, or are quantised already), ERR_USAGE (quantised weights in another form), ERR_FAILED
 * (writing), ERR_STOPPED, ERR_MEMORY. */
bool model_convert(ModelSource *from, const char *to, const ConvertOptions *o, Error *e);

#endif
