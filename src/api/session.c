/* api/session.c: what one thread needs to run a model: a stream on the model's device, and an engine. */
#include "api/api.h"

#include "tensor/profile.h"

/* A slip of the keyboard must not start a million threads. */
enum { THREADS_MAX = 1024, PICTURES_KEPT = 32, PICTURES_MAX = 1 << 20 };

static bool session_open(blip2_session *s, const blip2_session_options *o, Error *e)
{
    blip2_model *m = s->model;
    StreamOptions on = {.threads = o->threads,
                        .isa = o->isa,
                        .precision = m->dtype == BLIP2_F32 ? PREC_F32 : PREC_FAST};
    int keep = o->pictures < 0 ? 0 : o->pictures ? o->pictures : PICTURES_KEPT;
    s->on = m->dev->stream(m->dev, &on, e);
    return s->on && engine_init(&s->engine, m->net, m->tokenizer, s->on, keep, e);
}

static bool check_options(const blip2_session_options *o, Error *e)
{
    if (o->threads < 0 || o->threads > THREADS_MAX)
        return error_set(e, ERR_USAGE, "threads: expected 0 to %d, got %d", THREADS_MAX,
                         o->threads);
    if (o->pictures < -1 || o->pictures > PICTURES_MAX)
        return error_set(e, ERR_USAGE, "pictures: expected -1 to %d, got %d", PICTURES_MAX,
                         o->pictures);
    return true;
}

blip2_session *blip2_session_new(blip2_model *model, const blip2_session_options *options,
                                 blip2_error *err)
{
    Error e = {0};
    blip2_session_options o = {.size = sizeof o};
    blip2_session *s = NULL;
    bool ok = model || api_missing("model", &e);
    size_t size = offsetof(blip2_session_options, reserved);
    if (ok && options)
        ok = sized_take(&o, size, options, "session options", &e);
    if (ok && check_options(&o, &e) && !(s = mem_calloc(1, sizeof *s)))
        error_memory(&e, "session", sizeof *s);
    if (s) {
        s->model = model;
        s->holders = 1;
        atomic_fetch_add(&model->holders, 1);
        if (session_open(s, &o, &e))
            return s;
        blip2_session_free(s);
    }
    api_error(err, &e);
    return NULL;
}

void blip2_session_free(blip2_session *s)
{
    if (!s || --s->holders > 0)
        return;
    engine_free(&s->engine);
    if (s->on) {
        profile_stop(s->on);
        s->on->close(s->on);
    }
    blip2_model_free(s->model);
    mem_free(s);
}

void api_enter(blip2_session *s)
{
    s->holders++;
}

void api_exit(blip2_session *s)
{
    api_sweep_batch(s);
    blip2_session_free(s);
}
