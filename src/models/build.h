/* models/build.h: what the ways to make a model (load.c, random.c) share. */
#ifndef MODELS_BUILD_H
#define MODELS_BUILD_H

#include "models/blip2.h"

/* A model of that configuration whose parameters have no data yet. */
Blip2 *model_new(const ModelConfig *config, Error *e);

/* A block that lives as long as the model. small_pages: on 4 KiB pages, as a mapped file lies.
 * NULL: out of memory. */
void *model_own(Blip2 *m, size_t bytes, bool small_pages);

#endif
