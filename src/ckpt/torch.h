/* ckpt/torch.h: from the bytes of one file of PyTorch's torch.save to a list of tensors. For inside of
 * ckpt/ only, and its tests and fuzzer. */
#ifndef CKPT_TORCH_H
#define CKPT_TORCH_H

#include "ckpt/tensors.h"

/* Appends the tensors of data[0..size), a whole file called `path` in messages, in order of name: those
 * of the dict that was saved, or of the dict that it has under "model", as LAVIS' files do. Read are the
 * zip archive of PyTorch 1.6 and later, and the row of pickles before it. What else the file has beside
 * the tensors (an optimizer, a configuration) is left; nothing that it asks Python to do is done.
 *
 * Tensors point into data and keep `path`; several may share their bytes. Those whose elements do not lie
 * in a row (transposed ones) are copied, of one file at most as many bytes as it has. After true every
 * tensor lies in its storage, and that in the file. Errors: ERR_BAD_MODEL, ERR_MEMORY; the list is then
 * to be freed. Source: torch/serialization.py, torch/_utils.py. */
bool torch_parse(TensorList *list, const unsigned char *data, size_t size, const char *path,
                 Error *e);

#endif
