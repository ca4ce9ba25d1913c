/* ckpt/layout.h: directories, links and room for what is pulled. For ckpt/pull.c, and the first three for data/. */
#ifndef CKPT_LAYOUT_H
#define CKPT_LAYOUT_H

#include "ckpt/fetch.h"

/* Makes the directory, and those that it lies in, unless they are there. */
bool layout_dir(const char *path, Error *e);
bool layout_dir_in(const char *base, const char *name, Error *e);

/* What of the files is still to come must fit on the disk. */
bool layout_room(const char *dir, const Fetch *file, size_t n, Error *e);

/* DIR/NAME, the name of a file without its repository, leads to its blob. A link that is there and right
 * stays; another is replaced at once. Where links cannot be made, a second name of the file will do. */
bool layout_link(const char *dir, const Fetch *f, Error *e);

#endif
