/* ckpt/models.h: the published models: the one table of their names, places and licences. */
#ifndef CKPT_MODELS_H
#define CKPT_MODELS_H

#include <stdint.h>

/* Where LAVIS' files lie. */
#define LAVIS_URL "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2"

typedef struct HubModel {
    const char *name;     /* ours, e.g. "opt-2.7b" */
    const char *repo;     /* "Salesforce/blip2-opt-2.7b"; NULL: only as LAVIS' .pth files */
    const char *lavis[4]; /* LAVIS' spellings, "blip2_opt/pretrain_opt2.7b"; ends with NULL */
    const char *good_for; /* a phrase */
    const char *licence;  /* of the weights, and of a language model within */
    uint64_t bytes;       /* to download, about: 4 bytes a parameter, as they are published */
    const char *pth;      /* LAVIS' file, at LAVIS_URL */
    const char *vit;      /* the ViT that belongs to it, likewise; NULL: pth has its own */
    const char
        *language; /* repository of the language model, or of the tokenizer, that pth is without */
} HubModel;

/* By our name, the repository's with or without "Salesforce/", or one of LAVIS'. NULL: unknown. */
const HubModel *hub_find(const char *name);
const HubModel *hub_at(int i); /* NULL behind the last one */
/* By LAVIS' file: "blip2_pretrained.pth". NULL: unknown. */
const HubModel *hub_find_pth(const char *file);

#endif
