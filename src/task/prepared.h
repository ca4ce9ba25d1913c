/* task/prepared.h: a picture as a vision tower takes it, made ahead of the pass that reads it. */
#ifndef TASK_PREPARED_H
#define TASK_PREPARED_H

#include "config/config.h"
#include "image/image.h"

/* [3, spec.height, spec.width]; pixels NULL: there is none. */
typedef struct Prepared {
    float *pixels; /* mem_alloc'd */
    PrepareRoute route;
    PrepareSpec spec;
    double ms; /* what it took */
} Prepared;

/* How a model wants its pictures. */
PrepareSpec prepared_spec(const ModelConfig *k);

/* In any thread. false: ERR_FAILED, ERR_MEMORY (picture_prepare); *p is as it was. */
bool prepared_make(Prepared *p, const Picture *picture, PrepareRoute route, const ModelConfig *k,
                   Error *e);
void prepared_free(Prepared *p);

/* Copies it to out. ERR_FAILED: it was made by another route, or for a model that wants its pictures otherwise. */
bool prepared_copy(const Prepared *p, PrepareRoute route, const ModelConfig *k, float *out,
                   Error *e);

#endif
