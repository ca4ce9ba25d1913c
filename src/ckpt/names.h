/* ckpt/names.h: one tensor, several spellings.
 *
 * Loaders ask by the canonical name, that of the files which transformers writes today. Here is what other
 * families of files call the same tensor, of the same shape (leading ones aside): LAVIS' own
 * (lavis/models/blip2_models; transformers' script convert_blip_2_original_to_pytorch.py lists them), its two
 * base vision towers (lavis/models/eva_vit.py, clip_vit.py), parts that were saved alone, and OPT's first
 * files. A further family is a further line of a table in names.c. A tensor that other files keep in pieces is
 * a recipe's matter (models/recipe.h). */
#ifndef CKPT_NAMES_H
#define CKPT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum {
    NAME_MAPS = 1,
    NAME_LONGEST = 1024, /* bytes of a name with what is put in front of it, or in its place */
};

/* The canonical name of what a file calls `given`, into buf. false: it has no other, or cap is too small. */
bool name_canonical(const char *given, char *buf, size_t cap);

/* Which of LAVIS' names, where it has two for the same. */
typedef enum NameFamily {
    NAMES_OPT = 1, /* opt_proj, opt_model */
    NAMES_T5 = 2,  /* t5_proj, t5_model */
    NAMES_EVA = 4, /* the vision tower as eva_vit.py has it */
    NAMES_CLIP = 8 /* as clip_vit.py has it */
} NameFamily;

/* The other way: what LAVIS calls the tensor; family: NameFamily bits. false: LAVIS has no such tensor. */
bool name_lavis(const char *canonical, unsigned family, char *buf, size_t cap);

/* Whether a tensor of that name tells which part of a model a file holds whose names begin with that part's
 * own: what is to be put in front of all of them ("visual_encoder."). NULL: it does not. */
const char *name_part(const char *given);

/* Spellings that only the rest of a file tells from other tensors: tried when the canonical name is missing.
 * Writes the name that map i (0 .. NAME_MAPS - 1) gives the tensor into buf. false: this map has no
 * other name for it, or cap is too small. */
bool name_map(int i, const char *canonical, char *buf, size_t cap);

#endif
