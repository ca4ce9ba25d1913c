/* debug/run.h: what the files behind blip2_debug_forward share. */
#ifndef DEBUG_RUN_H
#define DEBUG_RUN_H

#include "api/api.h"
#include "blip2_debug.h"

/* The activations of a matching model behind its tower and queries, to r->dump_dir when there is one. picture: of
 * `image`, with its ENCODED_VISION; NULL: the model has no tower. */
bool run_matching(Engine *en, const EncodeJob *image, const Encoded *picture,
                  const blip2_debug_run *r, Error *e);

#endif
