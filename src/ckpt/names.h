/* ckpt/names.h: one tensor, several spellings.
 *
 * Loaders ask by the canonical name, that of the files which transformers writes today. A name map
 * is a function from the canonical name to what another generation of files calls the same tensor,
 * of the same shape; a further file family (LAVIS' names, which transformers' script
 * convert_blip_2_original_to_pytorch.py lists) is a further entry of the table in names.c. A tensor
 * that other files keep in pieces is a recipe's matter (models/recipe.h).
 *
 * For ckpt_find, which tries the canonical name first and then every map. */
#ifndef CKPT_NAMES_H
#define CKPT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_MAPS = 1 };

/* Writes the name that map i (0 .. NAME_MAPS - 1) gives the tensor into buf. false: this map has no
 * other name for it, or cap is too small. */
bool name_map(int i, const char *canonical, char *buf, size_t cap);

#endif
