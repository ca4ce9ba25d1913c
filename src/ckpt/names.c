/* ckpt/names.c: the tables of names that differ. */
#include "ckpt/names.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* '*' stands for a layer's number. A name that ends with a dot stands for all that begin with it. The first
 * that fits counts, in both directions. */
typedef struct Spelling {
    const char *lavis, *canonical;
    unsigned family; /* bits of NameFamily; 0: whichever it is */
} Spelling;

#define EVA    "visual_encoder.blocks.*."
#define CLIP   "visual_encoder.transformer.resblocks.*."
#define LAYER  "vision_model.encoder.layers.*."
#define EMBED  "vision_model.embeddings."
#define BERT   "Qformer.bert.encoder.layer.*."
#define QLAYER "qformer.encoder.layer.*."

static const Spelling SPELLINGS[] = {
    {"visual_encoder.cls_token", EMBED "class_embedding", NAMES_EVA},
    {"visual_encoder.pos_embed", EMBED "position_embedding", NAMES_EVA},
    {"visual_encoder.patch_embed.proj.", EMBED "patch_embedding.", NAMES_EVA},
    {EVA "norm1.", LAYER "layer_norm1.", NAMES_EVA},
    {EVA "norm2.", LAYER "layer_norm2.", NAMES_EVA},
    {EVA "attn.qkv.", LAYER "self_attn.qkv.", NAMES_EVA},
    {EVA "attn.proj.", LAYER "self_attn.projection.", NAMES_EVA},
    {EVA "mlp.fc1.", LAYER "mlp.fc1.", NAMES_EVA},
    {EVA "mlp.fc2.", LAYER "mlp.fc2.", NAMES_EVA},
    {"visual_encoder.class_embedding", EMBED "class_embedding", NAMES_CLIP},
    {"visual_encoder.positional_embedding", EMBED "position_embedding", NAMES_CLIP},
    {"visual_encoder.conv1.", EMBED "patch_embedding.", NAMES_CLIP},
    {"visual_encoder.ln_pre.", "vision_model.pre_layernorm.", NAMES_CLIP},
    {CLIP "ln_1.", LAYER "layer_norm1.", NAMES_CLIP},
    {CLIP "ln_2.", LAYER "layer_norm2.", NAMES_CLIP},
    {CLIP "attn.in_proj_weight", LAYER "self_attn.qkv.weight", NAMES_CLIP},
    {CLIP "attn.in_proj_bias", LAYER "self_attn.qkv.bias", NAMES_CLIP},
    {CLIP "attn.out_proj.", LAYER "self_attn.projection.", NAMES_CLIP},
    {CLIP "mlp.c_fc.", LAYER "mlp.fc1.", NAMES_CLIP},
    {CLIP "mlp.c_proj.", LAYER "mlp.fc2.", NAMES_CLIP},
    {"ln_vision.", "vision_model.post_layernorm.", 0},
    {"Qformer.bert.embeddings.LayerNorm.", "qformer.layernorm.", 0},
    {"Qformer.bert.embeddings.word_embeddings.", "embeddings.word_embeddings.", 0},
    {"Qformer.bert.embeddings.position_embeddings.", "embeddings.position_embeddings.", 0},
    {BERT "attention.self.", QLAYER "attention.attention.", 0},
    {BERT "crossattention.self.", QLAYER "crossattention.attention.", 0},
    {BERT, QLAYER, 0},
    {"Qformer.cls.", "cls.", 0},
    {"vision_proj.", "vision_projection.", 0},
    {"text_proj.", "text_projection.", 0},
    {"opt_proj.", "language_projection.", NAMES_OPT},
    {"t5_proj.", "language_projection.", NAMES_T5},
    {"opt_model.", "language_model.", NAMES_OPT},
    {"t5_model.", "language_model.", NAMES_T5},
    {"query_tokens", "query_tokens", 0},
    {"itm_head.", "itm_head.", 0},
    {"temp", "temp", 0},
};

enum { N_SPELLINGS = sizeof SPELLINGS / sizeof *SPELLINGS };

/* The name that `to` is where `from` is `name`. */
static bool respell(const char *from, const char *to, const char *name, char *buf, size_t cap)
{
    size_t head = strcspn(from, "*"), star = strcspn(to, "*"), digits = 0;
    if (strncmp(from, name, head) != 0)
        return false;
    const char *number = name + head, *tail = from + head;
    if (*tail) {
        digits = strspn(number, "0123456789");
        tail++;
    }
    const char *rest = number + digits;
    size_t n = strlen(tail);
    bool open = str_ends(from, ".");
    if ((from[head] && !digits) || strncmp(tail, rest, n) != 0 || (rest[n] != 0) != open)
        return false;
    int written = snprintf(buf, cap, "%.*s%.*s%s%s", (int)star, to, (int)digits, number,
                           to + star + (to[star] == '*'), rest + n);
    return written >= 0 && (size_t)written < cap;
}

bool name_canonical(const char *given, char *buf, size_t cap)
{
    for (int i = 0; i < N_SPELLINGS; i++)
        if (respell(SPELLINGS[i].lavis, SPELLINGS[i].canonical, given, buf, cap))
            return strcmp(given, buf) != 0;
    return false;
}

/* Whether the name leads back to the one that it was made from. */
static bool leads_back(const char *lavis, const char *canonical)
{
    char back[NAME_LONGEST];
    return strcmp(name_canonical(lavis, back, sizeof back) ? back : lavis, canonical) == 0;
}

bool name_lavis(const char *canonical, unsigned family, char *buf, size_t cap)
{
    for (int i = 0; i < N_SPELLINGS; i++) {
        const Spelling *s = &SPELLINGS[i];
        if ((!s->family || s->family & family) &&
            respell(s->canonical, s->lavis, canonical, buf, cap))
            return leads_back(buf, canonical);
    }
    return false;
}

const char *name_part(const char *given)
{
    static const struct {
        const char *name, *part;
    } SIGNS[] = {
        {"blocks.0.attn.qkv.weight", "visual_encoder."},
        {"transformer.resblocks.0.ln_1.weight", "visual_encoder."},
        {"embeddings.patch_embedding.weight", "vision_model."},
        {"encoder.layer.0.attention.attention.query.weight", "qformer."},
        {"bert.encoder.layer.0.attention.self.query.weight", "Qformer."},
        {"encoder.layer.0.attention.self.query.weight", "Qformer.bert."},
        {"decoder.embed_tokens.weight", "language_model."},
        {"model.decoder.embed_tokens.weight", "language_model."},
        {"shared.weight", "language_model."},
        {"lm_head.weight", "language_model."},
    };
    for (size_t i = 0; i < sizeof SIGNS / sizeof *SIGNS; i++)
        if (strcmp(SIGNS[i].name, given) == 0)
            return SIGNS[i].part;
    return NULL;
}

/* OPT's first files, and BLIP-2 models saved around them, have no "model." before the decoder. */
static bool opt_without_model(const char *canonical, char *buf, size_t cap)
{
    static const char NEW[] = "language_model.model.decoder.", OLD[] = "language_model.decoder.";
    if (!str_starts(canonical, NEW))
        return false;
    int n = snprintf(buf, cap, "%s%s", OLD, canonical + sizeof NEW - 1);
    return n >= 0 && (size_t)n < cap;
}

bool name_map(int i, const char *canonical, char *buf, size_t cap)
{
    static bool (*const MAPS[NAME_MAPS])(const char *, char *, size_t) = {opt_without_model};
    return MAPS[i](canonical, buf, cap);
}
