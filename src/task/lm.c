/* task/lm.c: which file fills an Lm for which kind of model, and what those files share. */
#include "task/lm.h"

#include "tensor/profile.h"

Lm *lm_new(Ctx *c, const Blip2 *m, Error *e)
{
    switch (m->config.kind) {
    case MODEL_T5: return t5_lm_new(c, m, e);
    case MODEL_MATCHING: return qformer_lm_new(c, m, e);
    default: return opt_lm_new(c, m, e);
    }
}

Tensor *lm_prefill(Lm *lm, const LmPrompt *prompt, int n, int *row, Error *e)
{
    ProfileStage before = profile_enter(lm->c->on, STAGE_PREFILL);
    Tensor *logits = lm->prefill(lm, prompt, n, row, e);
    profile_leave(lm->c->on, before);
    return logits;
}

Tensor *lm_advance(Lm *lm, int n, const int *parent, const int *ids, int *row, Error *e)
{
    ProfileStage before = profile_enter(lm->c->on, STAGE_DECODE);
    Tensor *logits = lm->advance(lm, n, parent, ids, row, e);
    profile_leave(lm->c->on, before);
    return logits;
}

bool lm_check(const Lm *lm, const LmPrompt *prompt, int n, Error *e)
{
    for (int i = 0; i < n; i++)
        if (prompt[i].n > lm->prompt_max)
            return lm_too_long(lm->prompt_max, (size_t)prompt[i].n, e);
    return true;
}

bool lm_error(const Ctx *c, Error *e)
{
    return error_set(e, c->err.code, "%s", c->err.message);
}

Tensor *lm_embed(Ctx *c, const Param *tokens, const LmPrompt *prompt, int n, int queries)
{
    int words = 0, total = 0, w = 0, r = 0;
    for (int i = 0; i < n; i++)
        words += prompt[i].n;
    total = n * queries + words;
    int *ids = arena_alloc(&c->mem, sizeof *ids * (size_t)(words + 1));
    int *from = arena_alloc(&c->mem, sizeof *from * (size_t)total);
    Tensor **pictures = arena_alloc(&c->mem, sizeof *pictures * (size_t)n);
    if (!ids || !from || !pictures)
        return ctx_fail(c, ERR_MEMORY, "prompt: out of memory");
    for (int i = 0; i < n; i++) {
        pictures[i] = (Tensor *)(uintptr_t)prompt[i].image_embeds; /* read only */
        for (int j = 0; j < queries; j++)
            from[r++] = i * queries + j;
        for (int j = 0; j < prompt[i].n; j++) {
            from[r++] = n * queries + w;
            ids[w++] = prompt[i].ids[j];
        }
    }
    return gather_rows(c, concat(c, pictures, n), embed(c, tokens, ids, words), from, total);
}
