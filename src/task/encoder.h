/* task/encoder.h: pictures in, image embeddings out: preparation, vision tower, Q-Former, projection, and what of
 * these is asked for. The first half of whatever is done with a picture. Pictures seen before are remembered, so that the next question about one begins
 * behind it. Used by one thread at a time. */
#ifndef TASK_ENCODER_H
#define TASK_ENCODER_H

#include "image/image.h"
#include "models/blip2.h"
#include "task/prepared.h"

/* What of a picture can be kept. */
typedef enum EncodedPart {
    ENCODED_VISION,  /* the vision tower's output, [tokens, E] */
    ENCODED_QUERIES, /* the Q-Former's, [queries, D] */
    ENCODED_EMBEDS,  /* what the language model reads, [queries, D_llm] */
    ENCODED_PARTS
} EncodedPart;

/* A picture of which something is kept, in device memory. */
typedef struct Encoded {
    uint64_t serial;
    Tensor part[ENCODED_PARTS]; /* those that were asked for; the others have no rows */
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
    const Prepared *prepared; /* the same, done already; NULL: not yet */
    PrepareRoute route;
    uint64_t serial; /* equal numbers are equal pictures, prepared alike; 0: not to be remembered */
    const float *pixels;
    int height, width;
    unsigned parts; /* wanted: a set of 1 << EncodedPart; 0: the embeddings. More may be kept */

    Encoded *encoded; /* the result; NULL: error says why */
    EncodeTimes times;
    Error error;
} EncodeJob;

/* keep: how many pictures are remembered beside those in use. */
void encoder_init(Encoder *en, Stream *on, const Blip2 *net, int keep);
void encoder_free(Encoder *en);

/* Fills encoded, times and error of each job; several pictures go through the networks together. What
 * cannot be done is that picture's error alone: ERR_FAILED (pixels smaller than a patch or
 * beyond VIT_GRID_TIMES the trained size, prepared otherwise than the model wants), ERR_MEMORY.
 * The parts stay until encoder_release. */
void encoder_encode(Encoder *en, EncodeJob *job, int n);
/* NULL is fine. */
void encoder_release(Encoder *en, Encoded *e);

#endif
