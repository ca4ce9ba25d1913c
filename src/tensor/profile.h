/* tensor/profile.h: where the time of a stream goes, by stage and by kind of operation.
 *
 * A profile stands in front of the stream's table of kernels: each of its functions calls the one that it stands
 * for, waits for its end and counts. So a stream without one has nothing in the way of its kernels, and a stage
 * begins and ends with a look at one pointer. Backward functions are not counted. */
#ifndef TENSOR_PROFILE_H
#define TENSOR_PROFILE_H

#include "tensor/backend.h"

/* What a pass is part of: what task/ is doing. A stage within another one interrupts it. */
typedef enum ProfileStage {
    STAGE_NONE, /* whatever lies between, not counted */
    STAGE_PREPROCESS,
    STAGE_VISION,
    STAGE_QFORMER,
    STAGE_PROJECTION,
    STAGE_READING, /* the Q-Former over texts, and the heads of matching */
    STAGE_PREFILL,
    STAGE_DECODE,
    STAGE_SELECT, /* log-probabilities, the best ids, the search, the texts' ids */
    STAGE_COUNT
} ProfileStage;

typedef enum ProfileKind {
    KIND_LINEAR_ENCODE,
    KIND_LINEAR_DECODE,
    KIND_ATTENTION,
    KIND_ROWS, /* norms, and whatever else is done row by row or number by number */
    KIND_SELECT,
    KIND_COPIES, /* to and from the device */
    KIND_COUNT
} ProfileKind;

typedef struct ProfileCount {
    uint64_t calls;
    double ms;
    double ops, bytes; /* products: multiplications and additions; weights read */
} ProfileCount;

struct Profile {
    const Backend *real;
    Backend table;
    ProfileStage now;
    double since; /* when `now` began, or went on */
    ProfileCount stage[STAGE_COUNT], kind[KIND_COUNT];
    Error failed; /* what a wait found: told by the next sync */
};

/* From now on the stream's work is counted, in on->profile. false: ERR_MEMORY. Twice is once. */
bool profile_start(Stream *on, Error *e);
void profile_stop(Stream *on); /* frees it; without one nothing happens */

/* Begins a stage and returns the one that it interrupts, which profile_leave goes on with. */
ProfileStage profile_enter(Stream *on, ProfileStage stage);
void profile_leave(Stream *on, ProfileStage before);

#endif
