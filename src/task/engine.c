/* task/engine.c: items from their request to their text: prompt, picture, generator, reply. */
#include "task/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "tensor/profile.h"

struct EngineItem {
    EngineItem *next, *before;
    GenItem *gen; /* NULL: never came so far */
    Ids prompt, history;
    Reply reply;
    int room; /* new ids at most */
    EngineToken *on_token;
    void *user;
    GenOptions o; /* its lists are the caller's: only plain values are looked at after the join */
    EngineTimes times;
    Error error;
    char notice[256];
    bool complete; /* nothing is missing any more, even if the caller stops now */
    bool in_step;  /* the step in work is its as well */
};

bool engine_init(Engine *en, const Blip2 *net, const Tokenizer *t, Stream *on, int keep, Error *e)
{
    *en = (Engine){.net = net, .tokenizer = t};
    encoder_init(&en->encoder, on, net, keep);
    ctx_init(&en->text, on);
    en->lm = lm_new(&en->text, net, e);
    en->generator = en->lm ? generator_new(en->lm, e) : NULL;
    if (en->generator)
        return true;
    engine_free(en);
    return false;
}

EncodedPart engine_part(const Engine *en)
{
    return en->net->config.kind == MODEL_MATCHING ? ENCODED_VISION : ENCODED_EMBEDS;
}

void engine_free(Engine *en)
{
    while (en->items)
        engine_leave(en, en->items);
    generator_free(en->generator);
    if (en->lm)
        en->lm->free(en->lm);
    ctx_free(&en->text);
    encoder_free(&en->encoder);
    *en = (Engine){0};
}

/* --- prompt -------------------------------------------------------------------------------------- */

/* A dialogue leaves room for its answer, or at least half. */
static int room_for_prompt(const Engine *en, const EngineItem *it, Task task)
{
    int all = en->lm->prompt_max;
    if (task != TASK_CHAT)
        return all;
    int answer = generate_room(&it->o, 1, all);
    return all - (answer < all / 2 ? answer : all / 2);
}

static bool words_to_ids(const Engine *en, EngineItem *it, const PromptSpec *words, Error *e)
{
    PromptSpec p = *words;
    if (!en->tokenizer)
        return error_set(e, ERR_BAD_MODEL, "%s", "tokenizer: expected one, got none");
    p.library = it->o.library;
    p.model_prompt = en->net->config.prompt;
    p.room = room_for_prompt(en, it, p.task);
    p.cut = it->o.library == LIB_LAVIS && en->net->config.kind == MODEL_OPT ? LAVIS_PROMPT_IDS : 0;
    return prompt_ids(&p, en->tokenizer, &it->prompt, it->notice, e);
}

/* What processors and lengths take as already there: LAVIS' one phantom start id, or all prompt ids with
 * the image placeholders in front (HF; not in the old layout without placeholders). */
static bool fill_history(const Engine *en, EngineItem *it)
{
    const ModelConfig *k = &en->net->config;
    if (en->lm->start >= 0)
        return ids_push(&it->history, en->lm->start);
    if (it->o.library == LIB_LAVIS || k->legacy_layout)
        return ids_push(&it->history, k->bos);
    for (int i = 0; i < k->qformer.queries; i++)
        if (!ids_push(&it->history, k->image_token))
            return false;
    return ids_append(&it->history, it->prompt.id, it->prompt.n);
}

/* One that the vocabulary lacks is never generated (config/config.h). */
static void take_end_ids(const Engine *en, GenOptions *o)
{
    const GenOptions *g = &en->net->config.gen;
    o->n_eos = 0;
    for (int i = 0; i < g->n_eos; i++)
        if (g->eos[i] >= 0 && g->eos[i] < en->lm->vocab)
            o->eos[o->n_eos++] = g->eos[i];
}

/* A tokenizer may know ids that the model does not: only a prompt with one is wrong. */
static bool ids_known(const Engine *en, const Ids *ids, Error *e)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->id[i] < 0 || ids->id[i] >= en->lm->vocab)
            return error_set(e, ERR_FAILED,
                             "prompt: token %zu: expected an id below the vocabulary's %d, got %d",
                             i, en->lm->vocab, ids->id[i]);
    return true;
}

/* transformers warns likewise (generation/utils.py, _validate_generated_length): the least length is
 * obeyed as far as the limit goes. */
static void note_lengths(EngineItem *it)
{
    char text[128];
    int least = generate_min_length(&it->o, (int)it->history.n) - (int)it->history.n;
    if (least <= it->room || !it->o.n_eos)
        return;
    snprintf(text, sizeof text,
             "generation: expected at least %d new tokens, but there is room for %d only", least,
             it->room);
    engine_add_notice(it, text);
}

/* The Q-Former captions, without a prompt, when its head for words is there. */
static bool can_generate(const ModelConfig *k, const EngineRequest *r, Error *e)
{
    if (k->parts & PART_LANGUAGE)
        return true;
    if (!(k->parts & PART_WORD_HEAD))
        return error_set(
            e, ERR_USAGE,
            "model: expected one that generates text, got a matching model without the "
            "head for words (cls.predictions, which the files of LAVIS have)");
    if (r->prompt.task != TASK_CAPTION)
        return error_set(e, ERR_USAGE,
                         "model: expected one with a language model, got a matching model, which "
                         "answers no questions");
    if (r->n_ids || (r->prompt.prompt && *r->prompt.prompt))
        return error_set(e, ERR_USAGE,
                         "prompt: expected none, since a matching model captions without one");
    return true;
}

static bool make_prompt(const Engine *en, EngineItem *it, const EngineRequest *r, Error *e)
{
    if (en->net->config.kind == MODEL_MATCHING)
        return true;
    if (!r->ids)
        return words_to_ids(en, it, &r->prompt, e);
    return ids_append(&it->prompt, r->ids, (size_t)r->n_ids) ||
           error_memory(e, "prompt", (size_t)r->n_ids * sizeof(int));
}

/* Everything about an item that does not need its picture. */
static bool prepare(const Engine *en, EngineItem *it, const EngineRequest *r, Error *e)
{
    if (!can_generate(&en->net->config, r, e))
        return false;
    it->o = r->options;
    it->on_token = r->on_token;
    it->user = r->user;
    it->reply = (Reply){.tokenizer = en->tokenizer, .clean = it->o.library == LIB_LAVIS};
    take_end_ids(en, &it->o);
    if (en->net->config.kind == MODEL_T5 && it->o.library == LIB_LAVIS && it->o.max_new_tokens == 0)
        it->o.max_new_tokens = it->o.max_length; /* as Blip2T5.generate hands it on */
    if (!generate_check(&it->o, en->lm->vocab, e))
        return false;
    bool ok = make_prompt(en, it, r, e) && ids_known(en, &it->prompt, e);
    if (ok && !fill_history(en, it))
        ok = error_memory(e, "prompt", it->prompt.n * sizeof(int));
    if (!ok || !generate_fits(en->lm, &it->o, (int)it->prompt.n, (int)it->history.n, &it->room, e))
        return false;
    note_lengths(it);
    return true;
}

static void item_free(EngineItem *it)
{
    ids_free(&it->prompt);
    ids_free(&it->history);
    reply_free(&it->reply);
    mem_free(it);
}

bool engine_check(Engine *en, const EngineRequest *r, Error *e)
{
    EngineItem *it = mem_calloc(1, sizeof *it);
    if (!it)
        return error_memory(e, "item", sizeof *it);
    bool ok = prepare(en, it, r, e);
    item_free(it);
    return ok;
}

bool engine_prompt(const Engine *en, const EngineRequest *r, Ids *out, char *notice, Error *e)
{
    EngineItem it = {.o = r->options};
    bool ok = can_generate(&en->net->config, r, e) && make_prompt(en, &it, r, e) &&
              ids_known(en, &it.prompt, e);
    if (ok) {
        *out = it.prompt;
        note_append(notice, sizeof it.notice, it.notice);
    } else {
        ids_free(&it.prompt);
    }
    return ok;
}

/* --- ids that come ------------------------------------------------------------------------------- */

static bool take_token(void *user, int id)
{
    EngineItem *it = user;
    StrBuf text = {0};
    const char *piece;
    bool last = is_end(&it->o, id) || it->reply.ids.n + 1 >= (size_t)it->room;
    bool go = reply_add(&it->reply, id, last, &text, &piece);
    if (go) {
        it->complete = last && (it->o.num_beams > 1 || it->o.num_captions == 1);
        go = it->on_token(it->user, id, piece);
    } else {
        error_memory(&it->error, "text", text.len);
    }
    strbuf_free(&text);
    return go;
}

/* --- joining ------------------------------------------------------------------------------------- */

static EngineItem *item_new(Engine *en)
{
    EngineItem *it = mem_calloc(1, sizeof *it);
    if (it) {
        it->next = en->items;
        if (en->items)
            en->items->before = it;
        en->items = it;
    }
    return it;
}

void engine_leave(Engine *en, EngineItem *it)
{
    if (!it)
        return;
    *(it->before ? &it->before->next : &en->items) = it->next;
    if (it->next)
        it->next->before = it->before;
    generator_leave(en->generator, it->gen);
    item_free(it);
}

/* What the items of one join go through together; the lists hold those that are still good. */
typedef struct Joining {
    EngineItem **item;
    EncodeJob *image;
    Tensor *
        embeds; /* over what the encoder keeps; in no arena, which would grow with every question */
    GenRequest *gen;
    GenItem **made;
    int n;
} Joining;

static void joining_free(Joining *j)
{
    mem_free(j->item);
    mem_free(j->image);
    mem_free(j->embeds);
    mem_free(j->gen);
    mem_free(j->made);
}

static bool joining_alloc(Joining *j, int n)
{
    size_t m = n > 0 ? (size_t)n : 1;
    *j = (Joining){.item = mem_calloc(m, sizeof *j->item),
                   .image = mem_calloc(m, sizeof *j->image),
                   .embeds = mem_calloc(m, sizeof *j->embeds),
                   .gen = mem_calloc(m, sizeof *j->gen),
                   .made = mem_calloc(m, sizeof *j->made)};
    return j->item && j->image && j->embeds && j->gen && j->made;
}

static void prepare_all(Engine *en, Joining *j, const EngineRequest *r, int n, EngineItem **item)
{
    for (int i = 0; i < n; i++)
        if (prepare(en, item[i], &r[i], &item[i]->error)) {
            j->image[j->n] = r[i].image;
            j->image[j->n].parts = 1u << engine_part(en);
            j->item[j->n++] = item[i];
        }
}

static GenRequest gen_request(EngineItem *it, const Tensor *embeds)
{
    return (GenRequest){.image_embeds = embeds,
                        .prompt = it->prompt.id,
                        .n_prompt = (int)it->prompt.n,
                        .history = it->history.id,
                        .n_history = (int)it->history.n,
                        .options = &it->o,
                        .on_token = it->on_token ? take_token : NULL,
                        .user = it};
}

static void encode_all(Engine *en, Joining *j)
{
    int good = 0;
    encoder_encode(&en->encoder, j->image, j->n);
    for (int i = 0; i < j->n; i++) {
        EngineItem *it = j->item[i];
        EncodeTimes t = j->image[i].times;
        it->times =
            (EngineTimes){.preprocess = t.preprocess, .encode = t.encode, .qformer = t.qformer};
        if (!j->image[i].encoded) {
            it->error = j->image[i].error;
            continue;
        }
        if (j->image[i].picture && j->image[i].picture->notice)
            engine_add_notice(it, j->image[i].picture->notice);
        j->item[good] = it;
        j->image[good] = j->image[i];
        j->embeds[good] = j->image[i].encoded->part[engine_part(en)];
        j->gen[good] = gen_request(it, &j->embeds[good]);
        good++;
    }
    j->n = good;
}

static void prefill_all(Engine *en, Joining *j)
{
    Error e = {0};
    double start = now_ms();
    ProfileStage before = profile_enter(en->text.on, STAGE_SELECT);
    bool ok = generator_join(en->generator, j->gen, j->n, j->made, &e);
    profile_leave(en->text.on, before);
    double each = j->n ? (now_ms() - start) / j->n : 0;
    for (int i = 0; i < j->n; i++) {
        j->item[i]->times.prefill = each;
        if (ok)
            j->item[i]->gen = j->made[i];
        else
            j->item[i]->error = e;
        encoder_release(&en->encoder, j->image[i].encoded);
    }
}

static bool items_new(Engine *en, int n, EngineItem **item, Error *e)
{
    for (int i = 0; i < n; i++) {
        item[i] = item_new(en);
        if (!item[i]) {
            while (i-- > 0)
                engine_leave(en, item[i]);
            return error_memory(e, "items", (size_t)n * sizeof **item);
        }
    }
    return true;
}

bool engine_idle(const Engine *en, Error *e)
{
    return !en->stepping ||
           error_set(e, ERR_USAGE, "token callback: expected no call to the session it belongs to");
}

bool engine_join(Engine *en, const EngineRequest *r, int n, EngineItem **item, Error *e)
{
    Joining j;
    if (!engine_idle(en, e))
        return false;
    if (!joining_alloc(&j, n)) {
        joining_free(&j);
        return error_memory(e, "items", (size_t)n * sizeof(GenRequest));
    }
    bool ok = items_new(en, n, item, e);
    if (ok) {
        prepare_all(en, &j, r, n, item);
        encode_all(en, &j);
        prefill_all(en, &j);
    }
    joining_free(&j);
    return ok;
}

/* --- steps --------------------------------------------------------------------------------------- */

static bool ended_now(const EngineItem *it)
{
    return it->gen && !gen_running(it->gen);
}

int engine_step(Engine *en)
{
    int shared = 0;
    if (en->stepping)
        return engine_count_running(en);
    for (EngineItem *it = en->items; it; it = it->next) {
        it->in_step = engine_running(it);
        shared += it->in_step;
    }
    double start = now_ms();
    ProfileStage before = profile_enter(en->text.on, STAGE_SELECT);
    en->stepping = true;
    int running = generator_step(en->generator);
    en->stepping = false;
    profile_leave(en->text.on, before);
    double took = now_ms() - start;
    for (EngineItem *it = en->items; it; it = it->next)
        if (it->in_step)
            it->times.decode += took / shared;
    return running;
}

int engine_count_running(const Engine *en)
{
    int n = 0;
    for (const EngineItem *it = en->items; it; it = it->next)
        n += engine_running(it);
    return n;
}

bool engine_running(const EngineItem *it)
{
    return it->gen && gen_running(it->gen);
}

/* An error of the callback's own comes before the stop that it caused; a stop behind a complete text is
 * none. */
const Error *engine_error(const EngineItem *it)
{
    static const Error NONE;
    if (it->error.code || !ended_now(it))
        return &it->error;
    const Error *e = gen_error(it->gen);
    return e->code == ERR_STOPPED && it->complete ? &NONE : e;
}

const char *engine_notice(const EngineItem *it)
{
    return it->notice;
}

EngineTimes engine_times(const EngineItem *it)
{
    return it->times;
}

GenSequence *engine_sequences(const EngineItem *it, int *n)
{
    ErrorCode code = engine_error(it)->code;
    *n = it->o.num_captions;
    return ended_now(it) && (!code || code == ERR_STOPPED) ? gen_sequences(it->gen) : NULL;
}

bool engine_text(const EngineItem *it, const int *ids, int n, StrBuf *out)
{
    return reply_text(&it->reply, ids, (size_t)n, true, out);
}

void engine_add_notice(EngineItem *it, const char *text)
{
    note_append(it->notice, sizeof it->notice, text);
}
