/* ahead.h: pictures read before they are wanted: a thread of its own reads, decodes and prepares them in the order of their
 * paths while others are computed.
 *
 * What waits are prepared pictures, as small as the model takes them, at most as many as were asked for; of those in their
 * own size there is the thread's, and as long as none has been large that of a caller who would have to wait and reads one as well.
 * Without threads the caller reads all. What cannot be read twice (standard input, pipes, addresses) is read by the caller alone. */
#ifndef CLI_AHEAD_H
#define CLI_AHEAD_H

#include <blip2.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Ahead Ahead;

typedef struct AheadOptions {
    char *const *paths;
    size_t count;
    const blip2_model *model; /* that the pictures are prepared for */
    blip2_library library;
    size_t most; /* pictures that wait */
} AheadOptions;

/* paths and model stay the caller's. Free with ahead_free, whatever has been taken. */
Ahead *ahead_new(const AheadOptions *o);
void ahead_free(Ahead *a); /* NULL is fine */

/* Whether the next picture can be taken without waiting; false also behind the last one. */
bool ahead_ready(Ahead *a);
/* Whether the next one can be read only once: it should come alone, when nothing else is in work. */
bool ahead_alone(const Ahead *a);
/* The next picture, the caller's from then on; waits for it. NULL: err says why. One that found no memory beside the
 * others is read again. */
blip2_image *ahead_take(Ahead *a, blip2_error *err);

/* A picture, or why there is none. Free image. */
typedef struct Taken {
    const char *path;
    blip2_image *image;
    blip2_error error;
} Taken;

/* Up to n of the next pictures; returns how many, 0 behind the last one. What can be read only once comes alone. */
size_t ahead_take_some(Ahead *a, Taken *t, size_t n);
void taken_free(Taken *t, size_t n);

#endif
