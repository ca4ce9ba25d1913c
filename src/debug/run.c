/* debug/run.c: one pass through a model, with every named activation written to a file; and ids from
 * ids, without text. */
#include "debug/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "ckpt/ckpt.h"

typedef struct Dump {
    const char *dir;
    Ctx *c; /* of the pass that is dumped */
    Error e;
} Dump;

static void dump_tensor(void *user, const char *name, const Tensor *t)
{
    Dump *d = user;
    char path[4096];
    int64_t shape[2] = {t->rows, t->cols};
    size_t n = (size_t)t->rows * (size_t)t->cols;
    if (d->e.code)
        return;
    if (snprintf(path, sizeof path, "%s/%s.npy", d->dir, name) >= (int)sizeof path) {
        error_set(&d->e, ERR_FAILED, "%.200s: dump: expected a shorter path", d->dir);
        return;
    }
    float *flat = mem_alloc(4 * n);
    if (!flat)
        error_memory(&d->e, path, 4 * n);
    else if (!tensor_download(d->c, flat, t))
        error_set(&d->e, d->c->err.code, "%s", d->c->err.message);
    else
        npy_write(path, flat, 2, shape, &d->e);
    mem_free(flat);
}

blip2_options blip2_debug_options(blip2_library library)
{
    blip2_options o = blip2_options_default(NULL, BLIP2_CAPTION, BLIP2_HF);
    o.library = library;
    o.max_new_tokens = 20;
    return o;
}

blip2_model *blip2_debug_load(const char *path_or_name, const blip2_load_options *options,
                              blip2_error *err)
{
    return api_load(path_or_name, options, false, err);
}

/* The caller's pixels, or a picture. */
static EncodeJob run_image(const blip2_debug_run *r)
{
    bool hf = r->library == BLIP2_HF;
    if (r->pixels)
        return (EncodeJob){.pixels = r->pixels, .height = r->height, .width = r->width};
    return (EncodeJob){.picture = &r->image->picture,
                       .prepared = r->image->prepared.pixels ? &r->image->prepared : NULL,
                       .route = hf ? ROUTE_HF : ROUTE_LAVIS};
}

static void set_tap(Ctx *c, Dump *dump)
{
    c->tap = dump && dump->dir ? dump_tensor : NULL;
    c->tap_user = dump;
    if (dump)
        dump->c = c;
}

static bool read_text(Engine *en, const blip2_debug_run *r, const Encoded *picture, Dump *dump,
                      Error *e)
{
    Tensor embeds = picture->part[ENCODED_EMBEDS];
    LmPrompt p = {.image_embeds = &embeds,
                  .ids = r->ids,
                  .n = (int)r->id_count,
                  .decoder = r->decoder_ids,
                  .n_decoder = (int)r->decoder_id_count};
    set_tap(&en->text, dump);
    bool ok = en->lm->forward(en->lm, &p, e) != NULL;
    set_tap(&en->text, NULL);
    return ok &&
           (ctx_sync(&en->text) || error_set(e, en->text.err.code, "%s", en->text.err.message));
}

/* The model's tower and Q-Former; NULL: the model has none, or e has the error. */
static bool see_picture(Engine *en, EncodeJob *job, Dump *dump, Error *e)
{
    const ModelConfig *k = &en->net->config;
    if (!(k->parts & PART_VISION))
        return true;
    if (k->kind == MODEL_MATCHING)
        job->parts = 1u << ENCODED_VISION | 1u << ENCODED_QUERIES;
    set_tap(&en->encoder.c, dump);
    encoder_encode(&en->encoder, job, 1);
    set_tap(&en->encoder.c, NULL);
    return job->encoded || error_set(e, job->error.code, "%s", job->error.message);
}

/* Picture, then text, every named activation to dump->dir when there is one. */
static bool run_forward(Engine *en, const blip2_debug_run *r, Dump *dump, Error *e)
{
    EncodeJob again = run_image(r), job = again;
    if (!see_picture(en, &job, dump, e))
        return false;
    bool ok = en->net->config.kind == MODEL_MATCHING ? run_matching(en, &again, job.encoded, r, e)
                                                     : read_text(en, r, job.encoded, dump, e);
    encoder_release(&en->encoder, job.encoded);
    return ok && (!dump->e.code || error_set(e, dump->e.code, "%s", dump->e.message));
}

static bool keep_output(blip2_debug_output *out, GenSequence *seq, size_t n)
{
    out->ids = mem_calloc(n, sizeof *out->ids);
    out->id_counts = mem_calloc(n, sizeof *out->id_counts);
    out->scores = mem_calloc(n, sizeof *out->scores);
    if (!out->ids || !out->id_counts || !out->scores)
        return false;
    out->count = n;
    for (size_t i = 0; i < n; i++) {
        out->ids[i] = seq[i].ids;
        out->id_counts[i] = (size_t)seq[i].n;
        out->scores[i] = seq[i].score;
        seq[i].ids = NULL;
    }
    return true;
}

/* But for its picture. */
static bool make_request(const blip2_session *s, const blip2_debug_run *r, EngineRequest *request,
                         Error *e)
{
    static const int NO_IDS[1];
    *request = (EngineRequest){.ids = r->id_count ? r->ids : NO_IDS, .n_ids = (int)r->id_count};
    return api_gen_options(s->model, BLIP2_CAPTION, r->options, &request->options, e);
}

/* Only a decoder with a start id is fed ids of its own. */
static bool check_decoder(const blip2_session *s, const blip2_debug_run *r, Error *e)
{
    return !r->decoder_id_count || s->engine.lm->start >= 0 ||
           error_set(e, ERR_USAGE,
                     "--decoder-ids: expected a model with a decoder of its own (Flan-T5), got one "
                     "without");
}

bool blip2_debug_check(blip2_session *s, const blip2_debug_run *r, blip2_error *err)
{
    Error e = {0};
    EngineRequest request;
    if (!check_decoder(s, r, &e))
        return api_error(err, &e);
    bool ok = !r->generate || (engine_idle(&s->engine, &e) && make_request(s, r, &request, &e) &&
                               engine_check(&s->engine, &request, &e));
    return ok || api_error(err, &e);
}

static bool run_generate(blip2_session *s, const blip2_debug_run *r, blip2_debug_output *out,
                         Error *e)
{
    EngineRequest request;
    EngineItem *it;
    int n;
    if (!make_request(s, r, &request, e))
        return false;
    request.image = run_image(r);
    if (!engine_run(&s->engine, &request, 1, &it, e))
        return false;
    GenSequence *seq = engine_sequences(it, &n);
    bool ok = seq ? keep_output(out, seq, (size_t)n) || error_memory(e, "results", (size_t)n)
                  : error_set(e, engine_error(it)->code, "%s", engine_error(it)->message);
    if (ok)
        snprintf(out->notice, sizeof out->notice, "%s", engine_notice(it));
    engine_leave(&s->engine, it);
    return ok;
}

static bool make_dir(const char *dir, Error *e)
{
    if (!dir || mkdir(dir, 0777) == 0 || (errno == EEXIST && file_is_dir(dir)))
        return true;
    return error_set(e, ERR_FAILED, "%s: %s", dir, strerror(errno));
}

bool blip2_debug_forward(blip2_session *s, const blip2_debug_run *r, blip2_debug_output *out,
                         blip2_error *err)
{
    Error e = {0};
    Dump dump = {.dir = r->dump_dir};
    bool ok = true;
    if (out)
        *out = (blip2_debug_output){0};
    if (!engine_idle(&s->engine, &e))
        ok = false;
    else if (r->generate && (!out || !r->options))
        ok = error_set(&e, ERR_USAGE, "generation: expected options and a place for the output");
    ok = ok && check_decoder(s, r, &e) && make_dir(r->dump_dir, &e);
    if (ok && (r->dump_dir || !r->generate))
        ok = run_forward(&s->engine, r, &dump, &e);
    ok = ok && (!r->generate || run_generate(s, r, out, &e));
    if (!ok && out)
        blip2_debug_output_free(out);
    return ok || api_error(err, &e);
}

void blip2_debug_output_free(blip2_debug_output *out)
{
    for (size_t i = 0; i < out->count; i++)
        mem_free(out->ids[i]);
    mem_free(out->ids);
    mem_free(out->id_counts);
    mem_free(out->scores);
    *out = (blip2_debug_output){0};
}
