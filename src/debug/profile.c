/* debug/profile.c: what a stream's profile has counted, for those who see include/ alone. */
#include "tensor/profile.h"

#include "api/api.h"
#include "blip2_debug.h"

static const char *const STAGES[STAGE_COUNT] = {
    [STAGE_PREPROCESS] = "preprocess", [STAGE_VISION] = "vision tower",
    [STAGE_QFORMER] = "Q-Former",      [STAGE_PROJECTION] = "projection",
    [STAGE_READING] = "texts, heads",  [STAGE_PREFILL] = "prefill",
    [STAGE_DECODE] = "decode",         [STAGE_SELECT] = "choosing tokens",
};

static const char *const KINDS[KIND_COUNT] = {
    [KIND_LINEAR_ENCODE] = "linear, encode",
    [KIND_LINEAR_DECODE] = "linear, decode",
    [KIND_ATTENTION] = "attention",
    [KIND_ROWS] = "norms, rows",
    [KIND_SELECT] = "selection",
    [KIND_COPIES] = "copies",
};

bool blip2_debug_profile_start(blip2_session *session, blip2_error *err)
{
    Error e = {0};
    return ((session || api_missing("session", &e)) && profile_start(session->on, &e)) ||
           api_error(err, &e);
}

/* Those that have a name and were called. */
static size_t lines(blip2_profile_line *to, const ProfileCount *from, const char *const *names,
                    size_t n)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        const ProfileCount *k = &from[i];
        double per_second = k->ms > 0 ? 1e-6 / k->ms : 0;
        if (names[i] && k->calls)
            to[used++] = (blip2_profile_line){.name = names[i],
                                              .calls = k->calls,
                                              .ms = k->ms,
                                              .gops = k->ops * per_second,
                                              .gbs = k->bytes * per_second};
    }
    return used;
}

void blip2_debug_profile(const blip2_session *session, blip2_profile *out)
{
    *out = (blip2_profile){0};
    if (!session || !session->on->profile)
        return;
    const Profile *p = session->on->profile;
    out->stage_count = lines(out->stages, p->stage, STAGES, STAGE_COUNT);
    out->kind_count = lines(out->kinds, p->kind, KINDS, KIND_COUNT);
}
