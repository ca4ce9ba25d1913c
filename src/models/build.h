/* models/build.h: what the ways to make a model (load.c, random.c) share: a model without data,
 * memory that lives as long as it, and the one way in which a Param comes to its data:
 *
 *     param_begin    what it is called, its type and size
 *     param_room     memory for its values (not if they lie in a file already), then fill it
 *     param_give     hands values and scales to the device that the model is for
 *
 * For these two files only. Everything is freed by model_close. */
#ifndef MODELS_BUILD_H
#define MODELS_BUILD_H

#include "models/blip2.h"

/* A model of that configuration whose parameters have no data yet. NULL: out of memory. */
Blip2 *model_new(Device *dev, const ModelConfig *config, Error *e);

/* load.c: the model that the source's files say, its weights open and unwrapped, its parameters without data yet. For
 * whoever then walks it with recipes. Errors: those of config_open and source_open. */
Blip2 *model_begin(Device *dev, ModelSource *source, Error *e);

/* p becomes a Param of that type without data; a gradient that it has stays. false: no memory. */
bool param_begin(Blip2 *m, Param *p, const char *name, const ParamSpec *spec, DType type);

/* Memory for the values. small_pages: on 4 KiB pages, as a mapped file lies (vectors, which are
 * read once per row of a product, are always the arena's). NULL: out of memory. */
void *param_room(Blip2 *m, const Param *p, const ParamSpec *spec, bool small_pages);

/* Memory for the scales, [param_scales(p)]. NULL: out of memory. */
float *param_scale_room(Blip2 *m, const Param *p);

/* The values, and the scales of a type that has them. The room of values that the device has copied is
 * given back. false: one of them is NULL (what allocated it
 * failed), or the device has no room. */
bool param_give(Blip2 *m, Param *p, const void *values, const float *scales);

#endif
