/* ckpt/names.h: one tensor, several spellings.
 *
 * Loaders ask by the canonical name, that of current Hugging Face files (the state dict of
 * Blip2ForConditionalGeneration, transformers modeling_blip_2.py). A name map is a function from
 * the canonical name to what another generation of files calls the tensor; a further file family
 * (LAVIS' names, transformers convert_blip_2_original_to_pytorch.py) is a further entry of the
 * table in names.c. For checkpoint.c only. */
#ifndef CKPT_NAMES_H
#define CKPT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_MAPS = 1 };

/* Writes the name that map i (0 .. NAME_MAPS - 1) gives the tensor into buf. false: this map has no
 * other name for it, or cap is too small. */
bool name_map(int i, const char *canonical, char *buf, size_t cap);

#endif
