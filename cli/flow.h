/* flow.h: many pictures through a session: read ahead, computed several at a time, handed out in their order.
 *
 * Pictures join the batch when half of its places are free, so that texts of different lengths leave none idle for long, and
 * several are encoded together. What does not find memory beside the others is done again with fewer of them: what becomes of a
 * picture does not depend on its neighbours. */
#ifndef CLI_FLOW_H
#define CLI_FLOW_H

#include "ahead.h"
#include "choices.h"

/* A picture that is done. */
typedef struct FlowItem {
    const char *path;
    bool read;                  /* there was a picture */
    const blip2_result *result; /* of one item; NULL: error says why */
    blip2_error error;
} FlowItem;

typedef struct Flow {
    blip2_session *session;
    const blip2_item *request; /* of all, but for their pictures */
    const Choices *choices; /* ranked instead of generating, one picture after another; none: not */
    AheadOptions pictures;  /* `most` is filled in */
    size_t together;        /* pictures computed at the same time */
    void *user;
    void (*begin)(void *user, const char *path); /* before it is computed; where one is at a time */
    bool (*write)(void *user, const FlowItem *item); /* in order; false: that was enough */
} Flow;

/* BLIP2_OK, or why none could be done (BLIP2_MEMORY, BLIP2_USAGE). */
blip2_error_code flow_run(const Flow *f, blip2_error *err);

#endif
