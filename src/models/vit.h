/* models/vit.h: the vision tower: pre-norm blocks, all tokens of the last block, a final norm. ViT-g of EVA-CLIP
 * (LAVIS models/eva_vit.py, HF Blip2VisionModel) and ViT-L of CLIP (LAVIS models/clip_vit.py) are one text; what they
 * differ in is VitConfig's. */
#ifndef MODELS_VIT_H
#define MODELS_VIT_H

#include "config/config.h"
#include "nn/visitor.h"

typedef struct VitBlock {
    Block base;
    Norm ln1, ln2;
    Linear qkv, proj, fc1, fc2;
    int heads;
    Act act;
} VitBlock;

typedef struct Vit {
    VitConfig config;
    Param cls, pos; /* [1, D]; [1 + grid^2, D], the class token's row first */
    Linear patch;   /* [D, 3*p*p] */
    Norm pre;       /* of CLIP's towers alone (VitConfig.clip): their ln_pre */
    VitBlock *block;
    Norm ln; /* LAVIS' ln_vision, HF's post_layernorm */
} Vit;

/* Layers without data, in mem. false: out of memory. For model_new; random numbers or a file then
 * fill it on a walk. */
bool vit_init(Vit *v, const VitConfig *config, Arena *mem);
/* The tower's parameters, as nn/visitor.h says. For model_visit. */
void vit_visit(Visitor *visitor, Vit *v);

/* px [batch, 3*h*w] normalised -> [batch * (1 + h/p * w/p), D]. Sizes other than the trained one
 * interpolate the position embedding (bicubic): as HF's interpolate_pos_encoding and eva_vit.py do it, and for
 * CLIP's towers as clip_vit.py does it, whose interpolate_pos_embed aligns the corners. */
Tensor *vit_forward(Ctx *c, const Vit *v, Tensor *px, int h, int w);

/* Rows of one picture of that size. */
int vit_tokens(const Vit *v, int h, int w);

#endif
