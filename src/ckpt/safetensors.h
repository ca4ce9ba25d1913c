/* ckpt/safetensors.h: from the bytes of one safetensors file to a list of tensors. For inside of
 * ckpt/ only, and its tests and fuzzer. */
#ifndef CKPT_SAFETENSORS_H
#define CKPT_SAFETENSORS_H

#include "ckpt/tensors.h"

enum { SAFETENSORS_HEADER_MAX = 100 * 1000 * 1000 }; /* as the reference reader */

/* Appends the tensors of data[0..size), a whole file called `path` in messages, in order of name.
 * They point into data and keep `path`. All checks of the format are made: after true every tensor
 * lies in the buffer, none overlap, and its bytes are shape times type. Errors: ERR_BAD_MODEL,
 * ERR_MEMORY; the list is then to be freed.
 * Source: safetensors' README "Format", and its reader (safetensors/src/tensor.rs). */
bool safetensors_parse(TensorList *list, const unsigned char *data, size_t size, const char *path,
                       Error *e);

#endif
