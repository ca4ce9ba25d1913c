/* models/fits.c: whether network and tokenizer are of one model. */
#include "models/fits.h"

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
