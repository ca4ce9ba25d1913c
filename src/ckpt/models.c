/* ckpt/models.c: the table of published models. Names and files: LAVIS' configs/models/blip2/ and
 * lavis/models/{eva_vit,clip_vit}.py; repositories: Hugging Face's organisation Salesforce. */
#include "ckpt/models.h"

#include <stdbool.h>
#include <string.h>

#define WITH_OPT "MIT; OPT within: OPT licence of Meta, no commercial use"
#define WITH_T5  "MIT; Flan-T5 within: Apache-2.0"
#define BERT     "google-bert/bert-base-uncased"

/* clang-format off: one model, one block */
static const HubModel MODELS[] = {
    {"opt-2.7b",
     "Salesforce/blip2-opt-2.7b",
     {"blip2_opt/pretrain_opt2.7b", "pretrain_opt2.7b"},
     "captions, questions, chat",
     WITH_OPT,
     14979047424u,
     "blip2_pretrained_opt2.7b.pth",
     "eva_vit_g.pth",
     "facebook/opt-2.7b"},
    {"opt-6.7b",
     "Salesforce/blip2-opt-6.7b",
     {"blip2_opt/pretrain_opt6.7b", "pretrain_opt6.7b"},
     "captions, questions, chat; better, slower",
     WITH_OPT,
     31011477504u,
     "blip2_pretrained_opt6.7b.pth",
     "eva_vit_g.pth",
     "facebook/opt-6.7b"},
    {"opt-2.7b-coco",
     "Salesforce/blip2-opt-2.7b-coco",
     {"blip2_opt/caption_coco_opt2.7b", "caption_coco_opt2.7b"},
     "captions in the manner of COCO, 364 pixels",
     WITH_OPT,
     14981412864u,
     "blip2_caption_opt2.7b.pth",
     NULL,
     "facebook/opt-2.7b"},
    {"opt-6.7b-coco",
     "Salesforce/blip2-opt-6.7b-coco",
     {"blip2_opt/caption_coco_opt6.7b", "caption_coco_opt6.7b"},
     "captions in the manner of COCO, 364 pixels; better, slower",
     WITH_OPT,
     31013842944u,
     "blip2_caption_opt6.7b.pth",
     NULL,
     "facebook/opt-6.7b"},
    {"flan-t5-xl",
     "Salesforce/blip2-flan-t5-xl",
     {"blip2_t5/pretrain_flant5xl", "pretrain_flant5xl"},
     "questions, instructions, captions",
     WITH_T5,
     15769786368u,
     "blip2_pretrained_flant5xl.pth",
     "eva_vit_g.pth",
     "google/flan-t5-xl"},
    {"flan-t5-xl-coco",
     "Salesforce/blip2-flan-t5-xl-coco",
     {"blip2_t5/caption_coco_flant5xl", "caption_coco_flant5xl"},
     "captions in the manner of COCO, 364 pixels",
     WITH_T5,
     15772151808u,
     "blip2_caption_flant5xl.pth",
     NULL,
     "google/flan-t5-xl"},
    {"flan-t5-xl-vit-l",
     NULL,
     {"blip2_t5/pretrain_flant5xl_vitL", "pretrain_flant5xl_vitL"},
     "questions, instructions, captions; the smaller ViT-L",
     "BSD-3-Clause; Flan-T5 within: Apache-2.0",
     12974155776u,
     "blip2_pretrained_flant5xl_vitL.pth",
     "clip_vit_L.pth",
     "google/flan-t5-xl"},
    {"flan-t5-xxl",
     "Salesforce/blip2-flan-t5-xxl",
     {"blip2_t5/pretrain_flant5xxl", "pretrain_flant5xxl"},
     "questions, instructions, captions; the best, slow",
     WITH_T5,
     48918386688u,
     "blip2_pretrained_flant5xxl.pth",
     "eva_vit_g.pth",
     "google/flan-t5-xxl"},
    {"itm-vit-g",
     "Salesforce/blip2-itm-vit-g",
     {"blip2/pretrain", "blip2_image_text_matching/pretrain", "blip2_feature_extractor/pretrain"},
     "matching pictures and texts, embeddings",
     "MIT",
     4688129032u,
     "blip2_pretrained.pth",
     "eva_vit_g.pth",
     BERT},
    {"itm-vit-g-coco",
     "Salesforce/blip2-itm-vit-g-coco",
     {"blip2/coco", "blip2_image_text_matching/coco", "blip2_feature_extractor/coco"},
     "search among pictures, as fine-tuned on COCO, 364 pixels",
     "MIT",
     4690494472u,
     "blip2_finetune_coco.pth",
     NULL,
     BERT},
    {"itm-vit-l",
     NULL,
     {"blip2/pretrain_vitL", "blip2_image_text_matching/pretrain_vitL",
      "blip2_feature_extractor/pretrain_vitL"},
     "matching pictures and texts, embeddings; the smaller ViT-L",
     "BSD-3-Clause",
     1894989048u,
     "blip2_pretrained_vitL.pth",
     "clip_vit_L.pth",
     BERT},
};
/* clang-format on */

enum { N_MODELS = sizeof MODELS / sizeof MODELS[0] };

const HubModel *hub_at(int i)
{
    return i >= 0 && i < N_MODELS ? &MODELS[i] : NULL;
}

static bool same(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

static bool is_called(const HubModel *m, const char *name)
{
    if (same(m->name, name) || same(m->repo, name))
        return true;
    if (m->repo && same(strchr(m->repo, '/') + 1, name))
        return true;
    return same(m->lavis[0], name) || same(m->lavis[1], name) || same(m->lavis[2], name);
}

const HubModel *hub_find(const char *name)
{
    for (int i = 0; i < N_MODELS; i++)
        if (is_called(&MODELS[i], name))
            return &MODELS[i];
    return NULL;
}

const HubModel *hub_find_pth(const char *file)
{
    for (int i = 0; i < N_MODELS; i++)
        if (same(MODELS[i].pth, file))
            return &MODELS[i];
    return NULL;
}
