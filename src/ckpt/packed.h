/* ckpt/packed.h: a whole model in one safetensors file: the weights as tensors, all else as texts in the
 * header's __metadata__, which any reader of safetensors may pass over:
 *
 *     blip2.format        "1"
 *     blip2.file.NAME     the text of a file of the model's directory: config.json, tokenizer.json, ...
 *     blip2.base64.NAME   the same of a file that is no text (spiece.model)
 *     blip2.layout.TENSOR "panel32 [OUT,IN]": it lies in panels (tensor/panel.h), and this is the shape of the
 *                         weight, more extents than two as in files without panels; the tensor's own is
 *                         [panels, IN, 32], of BF16 [panels, IN/2, 32, 2]
 *     blip2.layout.TENSOR "int4 panel32 [OUT,IN]": it is int4, in panels with their scales; the tensor's own shape
 *                         is [panels, blocks, 576] of U8
 *     blip2.quantised     "int8", "int4" or "mixed": with which preset (models/preset.h) it was made
 *
 * A tensor X of I8 has its scales, one for each row, in X.scale, F32 [OUT].
 *
 * Names of tensors are those of transformers, or LAVIS'. */
#ifndef CKPT_PACKED_H
#define CKPT_PACKED_H

#include "base/str.h"
#include "ckpt/source.h"

#define PACKED_FORMAT "1"
#define PACKED_SCALE  ".scale" /* behind the name of an int8 weight: its scales */

/* Whether the file says that it is one, of whatever format. */
bool packed_is(const Checkpoint *c);

/* s->ckpt is one: sets config and tokenizer, and gives tensors in panels the shapes of their weights. Errors:
 * ERR_BAD_MODEL (another format, a layout that this version does not know or that does not fit the tensor, a text
 * that is none), ERR_MEMORY. */
bool packed_open(ModelSource *s, Error *e);

/* Appends to the JSON object of __metadata__ that a tensor, of I4 or a float, lies in panels. */
void packed_layout(StrBuf *out, const char *name, DType t, int rank, const int64_t *shape);

/* With which preset it was quantised; NULL: with none, or c is no packed file. */
const char *packed_made(const Checkpoint *c);

/* Appends with which preset it was quantised. */
void packed_preset(StrBuf *out, const char *preset);

/* What a directory of a model may have beside its weights. NULL behind the last one. */
const char *packed_file(size_t i);

/* Which of the two has it: each may have a file of that name for a purpose of its own (a language model has a
 * config.json as well). */
const Folder *packed_folder(const Folder *config, const Folder *tokenizer, const char *name);

/* Appends the texts of a packed file to the JSON object of its __metadata__, from "blip2.format" on: those of
 * config, and of the tokenizer what is not there. Errors: those of folder_read. */
bool packed_texts(StrBuf *out, const Folder *config, const Folder *tokenizer, Error *e);

#endif
