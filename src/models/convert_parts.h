/* models/convert_parts.h: inside of a conversion: what is written, planned before (convert_plan.c), then streamed
 * (convert_write.c) to where it belongs (convert.c). */
#ifndef MODELS_CONVERT_PARTS_H
#define MODELS_CONVERT_PARTS_H

#include "base/write.h"
#include "ckpt/st_write.h"
#include "models/blip2.h"
#include "models/convert.h"
#include "models/quantise.h"

typedef enum OutputForm {
    OUT_STORED,    /* as it is stored, in rows or in panels */
    OUT_PANELS,    /* floats, in panels */
    OUT_QUANTISED, /* I8 in rows, or I4 in panels */
    OUT_SCALES,    /* of an I8 weight, which stands before it in the file */
} OutputForm;

/* One tensor of the output: some rows of a Param. */
typedef struct Output {
    StEntry entry; /* first: st_order, st_header */
    Recipe recipe;
    size_t first, rows;
    ParamSpec spec; /* of the Param */
    OutputForm form;
    DType to;     /* the type of its numbers; U8 stands for I4 in entry */
    float *scale; /* I8 and its scales: where they are kept in between, [rows] */
} Output;

typedef struct Converter {
    Visitor base;
    Blip2 *m;
    const ConvertOptions *o;
    unsigned family; /* of LAVIS' names */
    Output *out;
    size_t n, cap;
    uint64_t done, total;
    Quantiser quantiser;
    OutFile *file;
    Error *e;
} Converter;

/* Fills out, in the order of the file. Errors: ERR_BAD_MODEL, ERR_USAGE, ERR_MEMORY. */
bool convert_plan(Converter *c);

/* Writes header and tensors to path; texts: the members of the file's metadata. Errors: ERR_FAILED, ERR_BAD_MODEL
 * (weights that are no numbers, where they are quantised), ERR_STOPPED, ERR_MEMORY. */
bool convert_write(Converter *c, const char *path, const char *texts);

#endif
