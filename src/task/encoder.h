/* task/encoder.h: pictures in, image embeddings out: preparation, vision tower, Q-Former, projection. The
 * engine's first half. Pictures seen before are remembered, so that the next question about one begins
 * behind it. Used by one thread at a time. */
#ifndef TASK_ENCODER_H
#define TASK_ENCODER_H

#include "image/image.h"
#include "models/blip2.h"

/* A picture whose embeddings are kept, in device memory. */
typedef struct Encoded {
    uint64_t serial;
    void *data; /* [queries, D] */
    uint64_t last_use;
    int users; /* encoder_encode without encoder_release */
} Encoded;

typedef struct Encoder {
    const Blip2 *net;
    Ctx c;
    Encoded **known; /* most of them unused: `keep` of those stay */
    size_t n, cap, keep;
    uint64_t clock; /* of last_use */
} Encoder;

typedef struct EncodeTimes {
    double preprocess, encode, qformer; /* milliseconds, this picture's share */
} EncodeTimes;

/* Either a picture, prepared by `route` with the model's size, mean and deviation, or pixels
 * [3, height, width] as the tower takes them. */
typedef struct EncodeJob {
    const Picture *picture;
    PrepareRoute route;
    uint64_t serial; /* equal numbers are equal pictures, prepared alike; 0: not to be remembered */
    const float *pixels;
    int height, width;

    Encoded *encoded; /* the result; NULL: error says why */
    EncodeTimes times;
    Error error;
} EncodeJob;

/* keep: how many pictures are remembered beside those in use. */
void encoder_init(Encoder *en, Stream *on, const Blip2 *net, int keep);
void encoder_free(Encoder *en);

/* Fills encoded, times and error of each job; several pictures go through the networks together. What
 * cannot be done is that picture's error alone: ERR_FAILED (pixels smaller than a patch or
 * beyond VIT_GRID_TIMES the trained size), ERR_MEMORY.
 * The embeddings stay until encoder_release. */
void encoder_encode(Encoder *en, EncodeJob *job, int n);
/* The embeddings as a tensor [queries, D], for as long as they stay. */
Tensor encoder_embeds(const Encoder *en, const Encoded *e);
/* NULL is fine. */
void encoder_release(Encoder *en, Encoded *e);

#endif
