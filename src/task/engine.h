/* task/engine.h: pictures and words in, texts out. The one place where a model is run to generate: the
 * library's calls, evaluation, validation, debug and bench are loops over it.
 *
 * An engine is one model on one stream. Items join it, each with a picture, a prompt, settings and a
 * callback of its own; a step gives every running item one more id; items end by themselves and stay
 * until they leave. What an item gets does not depend on which others are there. Used by one thread
 * at a time, and not from an item's callback: joining there is ERR_USAGE. */
#ifndef TASK_ENGINE_H
#define TASK_ENGINE_H

#include "task/encoder.h"
#include "task/generate.h"
#include "task/prompt.h"
#include "task/reply.h"

/* Called for each new id of an item's best text as soon as it is final; text is what it adds (UTF-8, may
 * be empty, good during the call). false stops the item. */
typedef bool EngineToken(void *user, int id, const char *text);

/* What an item is made of. Everything but `user` is read while it joins and not needed afterwards. */
typedef struct EngineRequest {
    EncodeJob image;    /* picture or pixels; its result fields are not looked at */
    const int *ids;     /* the prompt, when it is given as ids */
    int n_ids;          /* of ids */
    PromptSpec prompt;  /* else. library, model_prompt, room and cut are filled by the engine */
    GenOptions options; /* end ids are filled by the engine */
    EngineToken *on_token;
    void *user;
} EngineRequest;

typedef struct EngineTimes {
    double preprocess, encode, qformer, prefill, decode; /* milliseconds, this item's share */
} EngineTimes;

typedef struct EngineItem EngineItem;

typedef struct Engine {
    const Blip2 *net;
    const Tokenizer *tokenizer; /* NULL: there is none; prompts are ids then and there is no text */
    Encoder encoder;
    Ctx text; /* the language model's passes: the encoder's, in a context of its own, do not end them */
    Lm *lm;
    Generator *generator;
    EngineItem *items;
    bool stepping; /* a callback is running: the engine is not to be called */
} Engine;

/* The stream, the model and the tokenizer stay the caller's. keep: pictures that are remembered beside
 * those in work. false: ERR_MEMORY; the engine is empty then. */
bool engine_init(Engine *en, const Blip2 *net, const Tokenizer *t, Stream *on, int keep, Error *e);
void engine_free(Engine *en); /* all items leave; {0} is fine */

/* What of a picture its language model begins with. */
EncodedPart engine_part(const Engine *en);

/* Whether a request makes sense for this model, whatever its picture: ERR_USAGE (settings, a missing
 * or invalid text), ERR_FAILED (a prompt that does not fit), ERR_BAD_MODEL (no tokenizer), ERR_MEMORY. */
bool engine_check(Engine *en, const EngineRequest *r, Error *e);

/* The ids of a request's prompt, into out, which is empty before; its picture is not looked at. notice[256]: what
 * is no error. Errors as engine_check. */
bool engine_prompt(const Engine *en, const EngineRequest *r, Ids *out, char *notice, Error *e);

/* false, with ERR_USAGE, in an item's callback. */
bool engine_idle(const Engine *en, Error *e);

/* Encodes, makes the prompts, prefills. item[i] is the new item: running, or ended with its error
 * (engine_error): those of engine_check, those of the picture, ERR_MEMORY when there is no room for it
 * beside those that run. false: no memory for the items themselves; none has joined. */
bool engine_join(Engine *en, const EngineRequest *r, int n, EngineItem **item, Error *e);
/* One more id for every running item. Returns how many still run. */
int engine_step(Engine *en);
/* Frees an item, ended or not. NULL is fine. */
void engine_leave(Engine *en, EngineItem *it);

/* Says one thing more that is no error. */
void engine_add_notice(EngineItem *it, const char *text);

bool engine_running(const EngineItem *it);
int engine_count_running(const Engine *en);
/* Code ERR_NONE: none. ERR_STOPPED: the callback ended it before its text was complete; the sequences
 * are there as far as they came. */
const Error *engine_error(const EngineItem *it);
const char *engine_notice(const EngineItem *it); /* "": none */
EngineTimes engine_times(const EngineItem *it);
/* num_captions sequences, best first, of an item that ended; NULL when it failed. ids may be taken out. */
GenSequence *engine_sequences(const EngineItem *it, int *n);
/* The text of ids of this item; zero-terminated, out is empty before. false: out of memory. */
bool engine_text(const EngineItem *it, const int *ids, int n, StrBuf *out);

/* --- run.c: a loop over the above --------------------------------------------------------------- */

/* All n at once as far as memory allows; where it does not, items wait until others have ended, and the
 * notice of all says so. Steps until all n have ended (items of others on this engine step with them).
 * item[i] NULL: there was no memory for the item itself, e says so. false: for none of them. */
bool engine_run(Engine *en, const EngineRequest *r, int n, EngineItem **item, Error *e);

#endif
