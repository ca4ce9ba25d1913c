/* ckpt/keys.h: by what the tensors of a checkpoint are looked up, when their files have been read. For inside
 * of ckpt/ only. */
#ifndef CKPT_KEYS_H
#define CKPT_KEYS_H

#include "ckpt/tensors.h"

/* Of names with wrappers in them, the given ones without; `known` as in ckpt_unwrap. *changed is
 * how many differ, *first the first of them: none where two tensors of one piece would get the same. Both may
 * be NULL. false: out of memory. */
bool keys_unwrap(TensorList *l, const char *known, size_t *changed, const char **first);

/* Keys become canonical names (ckpt/names.h), and of tensors with the same key that of the last piece stays in
 * the list, as LAVIS loads one file over another. Of two in one piece the one that is called so has the key,
 * and the other its own name. The list is in order of key then. false: out of memory. */
bool keys_settle(TensorList *l);

#endif
