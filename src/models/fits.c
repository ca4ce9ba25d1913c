/* models/fits.c: whether network and tokenizer are of one model. */
#include "models/fits.h"

#include "ckpt/derive.h"

/* Tokens whose ids the language model has no rows for. */
static int tokens_beyond(const Tokenizer *t, int vocab)
{
    int n = 0;
    for (int id = vocab; id < tokenizer_size(t); id++)
        n += tokenizer_has(t, id);
    return n;
}

/* Some added tokens too many do no harm while nobody uses them; a tokenizer most of which is beyond the
 * vocabulary is another model's. */
bool model_fits(const Blip2 *net, const Tokenizer *t, const char *dir, Error *e)
{
    const ModelConfig *k = &net->config;
    const LanguageConfig lm = config_language(k);
    if (lm.positions > 0 && lm.positions <= k->qformer.queries)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: config.json: expected more positions than the picture's %d, got %d",
                         dir, k->qformer.queries, lm.positions);
    if (t && tokens_beyond(t, lm.vocab) > lm.vocab)
        return error_set(
            e, ERR_BAD_MODEL,
            "%s: tokenizer: expected ids below the vocabulary's %d, got %d: another model's?", dir,
            lm.vocab, tokenizer_size(t) - 1);
    return true;
}

Notes model_notes(const Blip2 *net, const Tokenizer *t, const char *dir)
{
    const ModelConfig *k = &net->config;
    Notes notes = net->notes;
    int vocab = config_language(k).vocab, beyond = t ? tokens_beyond(t, vocab) : 0;
    int image = t ? tokenizer_id(t, "<image>") : -1;
    if (t)
        note_add_all(&notes, tokenizer_notes(t));
    if (beyond)
        note_add(&notes,
                 "%s: tokenizer: ids up to %d, beyond the vocabulary of %d (%d in all): text that "
                 "needs one "
                 "cannot be done",
                 dir, tokenizer_size(t) - 1, vocab, beyond);
    if (image >= 0 && k->image_token >= 0 && image != k->image_token)
        note_add(&notes,
                 "%s: tokenizer: <image> is %d, where config.json's image_token_index says %d", dir,
                 image, k->image_token);
    return notes;
}

/* --- weights of different models ------------------------------------------------------------------ */

#define OPT_TABLE "language_model.model.decoder.embed_tokens.weight"
#define T5_TABLE  "language_model.shared.weight"

/* One size that two tensors have, each at its own extent, counted from the last one. */
static const struct {
    const char *a, *a_is, *b, *b_is, *what;
    int a_dim, b_dim;
} SHARED[] = {
    {"language_projection.weight", "the projection", OPT_TABLE, "the language model",
     "width of the language model", 2, 1},
    {"language_projection.weight", "the projection", T5_TABLE, "the language model",
     "width of the language model", 2, 1},
    {"qformer.encoder.layer.0.crossattention.attention.key.weight", "the Q-Former",
     "vision_model.embeddings.class_embedding", "the vision tower", "width of the vision tower", 1,
     1},
};

static const char *file_of(Checkpoint *c, const char *name)
{
    return ckpt_find(c, name)->file;
}

static bool two_parts(Checkpoint *c, Error *e)
{
    for (size_t i = 0; i < sizeof SHARED / sizeof *SHARED; i++) {
        int64_t a = derive_extent(c, SHARED[i].a, SHARED[i].a_dim);
        int64_t b = derive_extent(c, SHARED[i].b, SHARED[i].b_dim);
        if (!a || !b || a == b)
            continue;
        error_add(e, ": two parts disagree on the %s: %s (%s) has %lld, %s (%s) has %lld",
                  SHARED[i].what, SHARED[i].a_is, file_of(c, SHARED[i].a), (long long)a,
                  SHARED[i].b_is, file_of(c, SHARED[i].b), (long long)b);
        return true;
    }
    return false;
}

/* Rows of a table that config.json says as well. */
static bool part_and_config(Checkpoint *c, const char *table, int64_t want, const char *what,
                            const char *key, Error *e)
{
    int64_t got = derive_extent(c, table, 2);
    if (!got || got == want)
        return false;
    error_add(
        e, ": weights and config.json disagree on the %s: %s has %lld, %s of config.json says %lld",
        what, file_of(c, table), (long long)got, key, (long long)want);
    return true;
}

void model_disagree(const Blip2 *net, Error *e)
{
    const ModelConfig *k = &net->config;
    int grid = k->vit.image / k->vit.patch;
    if (e->code != ERR_BAD_MODEL || two_parts(net->ckpt, e))
        return;
    (void)(part_and_config(net->ckpt, "vision_model.embeddings.position_embedding",
                           1 + (int64_t)grid * grid, "picture size (positions)", "image_size", e) ||
           part_and_config(net->ckpt, k->kind == MODEL_T5 ? T5_TABLE : OPT_TABLE,
                           config_language(k).vocab, "vocabulary", "vocab_size", e));
}
