/* models/extra.c: see models/extra.h. */
#include "models/extra.h"

#include "base/str.h"

static const struct {
    const char *end, *why;
} EXTRAS[] = {
    {"position_ids", "a buffer"},
    {"token_type_ids", "a buffer"},
    {".weight_format", "a mark of bitsandbytes"},
    /* transformers models/t5/modeling_t5.py: tied to `shared`; the bias is no part of cross attention */
    {"language_model.encoder.embed_tokens.weight", "a copy"},
    {"language_model.decoder.embed_tokens.weight", "a copy"},
    {"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", "unused by T5"},
    /* LAVIS models/blip2_models/Qformer.py: tied to the word embeddings; cls.predictions.bias once more */
    {"cls.predictions.decoder.weight", "a copy"},
    {"cls.predictions.decoder.bias", "a copy"},
};

const char *tensor_extra(const CkptTensor *t)
{
    if (t->piece == PIECE_VIT)
        return "a block, norm or head of the base vision tower that LAVIS leaves out";
    if (t->piece == PIECE_LANGUAGE)
        return "a part of the language model that LAVIS leaves out";
    for (size_t i = 0; i < sizeof EXTRAS / sizeof *EXTRAS; i++)
        if (str_ends(t->key, EXTRAS[i].end))
            return EXTRAS[i].why;
    return NULL;
}
