/* api/job.h: one call of blip2_generate, and what its files share: request.c checks what is asked
 * and makes the prompt, generate.c runs the batches, result.c keeps texts and tells them. */
#ifndef API_JOB_H
#define API_JOB_H

#include "api/api.h"

typedef struct Item {
    blip2_error error;
    blip2_candidate *candidate;
    size_t count;
    blip2_timings timings;
    /* What on_token has been told. A batch that is done again goes through the same ids once more,
     * since results do not depend on the batch; `again` counts those that are not told twice. */
    Ids told;
    StrBuf shown;
    size_t again;
    bool ended; /* nothing is missing any more, even if the caller stops now */
} Item;

struct blip2_result {
    Item *item;
    size_t count;
    char notice[256];
};

typedef struct Job {
    blip2_session *s;
    const blip2_request *request;
    GenOptions o;
    Ids prompt;  /* behind the picture */
    Ids history; /* what the library counts as already there */
    int room;    /* new ids at most */
    blip2_result *result;
    blip2_image *image[BATCH_MAX]; /* the batch in work */
    size_t index[BATCH_MAX];       /* their places in result */
    int n;
    Error failed; /* out of memory inside a callback */
} Job;

/* --- request.c ---------------------------------------------------------------------------------- */
/* Fills s, request and o. ERR_USAGE names what makes no sense. */
bool job_check(Job *j, blip2_session *s, blip2_image *const *images, size_t count,
               const blip2_request *request, Error *e);
/* Fills prompt, history, room and the result's notice. */
bool job_prompt(Job *j, Error *e);

/* --- result.c ----------------------------------------------------------------------------------- */
blip2_result *result_new(size_t count, Error *e);
Item *job_item(const Job *j, int i); /* of the i-th picture of the batch */
/* GenToken of a Job. */
bool job_token(void *user, int index, int id);
/* Moves num_captions sequences into the item as candidates. false: out of memory. */
bool job_keep(const Job *j, Item *it, GenSequence *seq);
void item_drop_candidates(Item *it);

#endif
