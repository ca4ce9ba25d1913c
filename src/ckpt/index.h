/* ckpt/index.h: weights in several files, for open.c. */
#ifndef CKPT_INDEX_H
#define CKPT_INDEX_H

#include "ckpt/checkpoint.h"

enum { SHARDS_MAX = 1000 };

/* Reads the shards in dir that the index file names into c, which is new, checks each against the
 * other, and sorts the list. Errors: ERR_BAD_MODEL, ERR_MEMORY. */
bool index_open(Checkpoint *c, const char *dir, const char *index_path, Error *e);

#endif
