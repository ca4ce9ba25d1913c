/* LAVIS' files: names, a model in pieces, what is found beside it, what is said of parts that are missing. */
#include "test_lavis.h"

#include "blip2.h"
#include "ckpt/derive.h"

static Device *dev;

static int setup(void **state)
{
    Error e = {0};
    golden = ckpt_open_file(GOLDEN "/model.safetensors", &e);
    dev = cpu_device(&e);
    return golden && dev ? scratch_make(state) : -1;
}

static int teardown(void **state)
{
    ckpt_close(golden);
    dev->close(dev);
    return scratch_remove(state);
}

static int clean(void **state)
{
    char command[300];
    setenv("TORCH_HOME", at("torch"), 1);
    setenv("HF_HUB_CACHE", at("hub"), 1);
    snprintf(command, sizeof command, "rm -rf '%s'/*", scratch);
    return system(command);
}

/* --- names -------------------------------------------------------------------------------------- */

/* One line "LAVIS HF" of the file. Where both are the same there is nothing to rename. */
static void check_names(const char *lavis, const char *hf)
{
    char buf[NAME_LONGEST];
    bool t5 = str_starts(lavis, "t5_");
    bool changed = name_canonical(lavis, buf, sizeof buf);
    assert_int_equal(changed, strcmp(lavis, hf) != 0);
    if (changed)
        assert_string_equal(buf, hf);
    assert_true(name_lavis(hf, NAMES_EVA | (t5 ? NAMES_T5 : NAMES_OPT), buf, sizeof buf));
    assert_string_equal(buf, lavis);
}

static void names(void **state)
{
    char lavis[300], hf[300];
    int n = 0;
    FILE *f = fopen(LAVIS "/names.txt", "r");
    assert_non_null(f);
    for (; fscanf(f, "%299s %299s", lavis, hf) == 2; n++)
        check_names(lavis, hf);
    fclose(f);
    assert_int_equal(n, 149);
}

/* lavis/models/clip_vit.py; the tower's own prefix in front. */
static void clip_names(void **state)
{
    static const char *const PAIRS[][2] = {
        {"class_embedding", "embeddings.class_embedding"},
        {"positional_embedding", "embeddings.position_embedding"},
        {"conv1.weight", "embeddings.patch_embedding.weight"},
        {"ln_pre.bias", "pre_layernorm.bias"},
        {"transformer.resblocks.22.ln_1.weight", "encoder.layers.22.layer_norm1.weight"},
        {"transformer.resblocks.22.ln_2.bias", "encoder.layers.22.layer_norm2.bias"},
        {"transformer.resblocks.0.attn.in_proj_weight", "encoder.layers.0.self_attn.qkv.weight"},
        {"transformer.resblocks.0.attn.in_proj_bias", "encoder.layers.0.self_attn.qkv.bias"},
        {"transformer.resblocks.1.attn.out_proj.weight",
         "encoder.layers.1.self_attn.projection.weight"},
        {"transformer.resblocks.1.mlp.c_fc.bias", "encoder.layers.1.mlp.fc1.bias"},
        {"transformer.resblocks.1.mlp.c_proj.weight", "encoder.layers.1.mlp.fc2.weight"},
    };
    char clip[300], hf[300], buf[NAME_LONGEST];
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
        snprintf(clip, sizeof clip, "visual_encoder.%s", PAIRS[i][0]);
        snprintf(hf, sizeof hf, "vision_model.%s", PAIRS[i][1]);
        assert_true(name_canonical(clip, buf, sizeof buf));
        assert_string_equal(buf, hf);
        assert_true(name_lavis(hf, NAMES_CLIP, buf, sizeof buf));
        assert_string_equal(buf, clip);
    }
}

static void other_names(void **state)
{
    static const char *const OTHERS[] = {"visual_encoder.norm.weight",
                                         "visual_encoder.blocks..norm1.weight",
                                         "visual_encoder.blocks.1.attn.q_bias",
                                         "visual_encoder.proj",
                                         "opt_projection.weight",
                                         "vision_projection.weight",
                                         "Qformer.bert.encoder.layer.x.output.dense.weight",
                                         "visual_encoder.cls_token.more",
                                         "ln_vision.",
                                         "opt_model.",
                                         "xopt_model.lm_head.weight",
                                         "language_model.model.decoder.embed_tokens.weight"};
    char buf[NAME_LONGEST], small[8];
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if (name_canonical(OTHERS[i], buf, sizeof buf))
            fail_msg("%s became %s", OTHERS[i], buf);
    assert_false(name_canonical("ln_vision.weight", small, sizeof small));
    assert_false(name_lavis("language_projection.weight", NAMES_EVA, buf, sizeof buf));
    assert_false(name_lavis("nothing.weight", NAMES_EVA | NAMES_OPT, buf, sizeof buf));
}

static void parts(void **state)
{
    assert_string_equal(name_part("blocks.0.attn.qkv.weight"), "visual_encoder.");
    assert_string_equal(name_part("transformer.resblocks.0.ln_1.weight"), "visual_encoder.");
    assert_string_equal(name_part("embeddings.patch_embedding.weight"), "vision_model.");
    assert_string_equal(name_part("encoder.layer.0.attention.attention.query.weight"), "qformer.");
    assert_string_equal(name_part("bert.encoder.layer.0.attention.self.query.weight"), "Qformer.");
    assert_string_equal(name_part("decoder.embed_tokens.weight"), "language_model.");
    assert_string_equal(name_part("shared.weight"), "language_model.");
    assert_null(name_part("vision_model.embeddings.patch_embedding.weight"));
    assert_null(name_part("embeddings.word_embeddings.weight")); /* of a matching model */
}

/* --- a model in pieces ---------------------------------------------------------------------------- */

static Blip2 *load(const char *path, const SourceHints *hints, Error *e)
{
    ModelSource s = {0};
    Blip2 *m = source_find(&s, path, hints, e) ? model_load(dev, &s, PRESET_NONE, e) : NULL;
    source_free(&s);
    return m;
}

/* Loads, has the golden model's weights, and the notes are these. */
static void is_golden(const char *path, const SourceHints *hints, const char *notes)
{
    Error e = {0};
    Blip2 *want = model_open(dev, GOLDEN, PRESET_NONE, &e), *got = load(path, hints, &e);
    if (!got)
        fail_msg("%s", e.message);
    same_models(want, got);
    assert_string_equal(got->notes.text, notes);
    model_close(want);
    model_close(got);
}

static void refused(const char *path, const SourceHints *hints, ErrorCode code, const char *says)
{
    Error e = {0};
    size_t before = mem_in_use();
    assert_null(load(path, hints, &e));
    assert_int_equal(e.code, code);
    if (!strstr(e.message, says))
        fail_msg("expected \"%s\" in: %s", says, e.message);
    assert_int_equal(mem_in_use(), before);
}

static void put_pieces(bool old)
{
    put_configs("");
    copy_file(LAVIS "/stage2.pth", "model.pth");
    put_eva("eva_vit_g.pth");
    put_language("llm", old);
}

static void pieces(void **state)
{
    for (int old = 0; old < 2; old++) {
        put_pieces(old);
        char llm[300], vit[300];
        snprintf(llm, sizeof llm, "%s", at("llm"));
        snprintf(vit, sizeof vit, "%s", at("other.pth"));
        SourceHints hints = {.language = llm};
        is_golden(at("model.pth"), &hints, "");
        put_eva("other.pth");
        hints.vit = vit;
        is_golden(at("model.pth"), &hints, "");
    }
}

/* Where LAVIS and huggingface_hub keep them. The file's own name says which language model it was trained with. */
static void pieces_found(void **state)
{
    put_configs("");
    copy_file(LAVIS "/stage2.pth", "blip2_pretrained_opt2.7b.pth");
    refused(at("blip2_pretrained_opt2.7b.pth"), NULL, ERR_NO_MODEL,
            "vision tower: the file has none, as LAVIS keeps it in one of its own: expected "
            "eva_vit_g.pth beside it");
    mkdir(at("torch"), 0777);
    mkdir(at("torch/hub"), 0777);
    mkdir(at("torch/hub/checkpoints"), 0777);
    put_eva("torch/hub/checkpoints/eva_vit_g.pth");
    refused(at("blip2_pretrained_opt2.7b.pth"), NULL, ERR_NO_MODEL,
            "language model: the file has none, as LAVIS takes it from facebook/opt-2.7b");
    mkdir(at("hub"), 0777);
    mkdir(at("hub/models--facebook--opt-2.7b"), 0777);
    mkdir(at("hub/models--facebook--opt-2.7b/refs"), 0777);
    mkdir(at("hub/models--facebook--opt-2.7b/snapshots"), 0777);
    put_text("hub/models--facebook--opt-2.7b/refs/main", "abc");
    put_language("hub/models--facebook--opt-2.7b/snapshots/abc", false);
    is_golden(at("blip2_pretrained_opt2.7b.pth"), NULL, "");
    /* its name means the same where nothing else has it */
    copy_file(at("blip2_pretrained_opt2.7b.pth"),
              "torch/hub/checkpoints/blip2_pretrained_opt2.7b.pth");
    put_configs("torch/hub/checkpoints/");
    is_golden("blip2_opt/pretrain_opt2.7b", NULL, "");
    /* beside the file they come first */
    put_language("opt-2.7b", true);
    put_text("eva_vit_g.pth", "no weights");
    refused(at("blip2_pretrained_opt2.7b.pth"), NULL, ERR_BAD_MODEL, "/eva_vit_g.pth: ");
}

/* The other widths, and what the user says, tell which language model it is. */
static void which_language(void **state)
{
    put_configs("");
    put_eva("eva_vit_g.pth");
    copy_file(LAVIS "/stage2.pth", "x.pth");
    refused(at("x.pth"), NULL, ERR_NO_MODEL, "LAVIS takes it from OPT's own directory");
    refused(at("x.pth"), &(SourceHints){.type = "caption_coco_flant5xl"}, ERR_NO_MODEL,
            "LAVIS takes it from google/flan-t5-xl:");
    refused(at("x.pth"), &(SourceHints){.type = "nonsense"}, ERR_NO_MODEL,
            "nonsense: type: expected a published model");
    refused(at("x.pth"), &(SourceHints){.language = "some/where"}, ERR_NO_MODEL,
            "some/where: language model: expected a directory, or a repository");
}

/* What the later file has counts: here another bias in the .pth than in the base files. */
static void later_wins(void **state)
{
    static float other[40];
    Error e = {0};
    put_pieces(false);
    Checkpoint *c = ckpt_open_file(LAVIS "/stage2.pth", &e), *all = ckpt_new("all", &e);
    for (size_t i = 0; i < ckpt_count(c); i++)
        if (!strstr(ckpt_at(c, i)->name, "position_ids"))
            add_tensor(all, ckpt_at(c, i), ckpt_at(c, i)->name);
    for (int i = 0; i < 40; i++)
        other[i] = 7.5f + (float)i;
    CkptTensor t = *ckpt_find(golden, "language_model.model.decoder.layers.1.fc2.bias");
    t.data = other;
    add_tensor(all, &t, "opt_model.model.decoder.layers.1.fc2.bias");
    t = *ckpt_find(golden, "vision_model.embeddings.class_embedding");
    t.data = other; /* 48 of them */
    static float wide[48] = {3};
    t.data = wide;
    add_tensor(all, &t, "visual_encoder.cls_token");
    put_torch("model.pth", all, 0, 1);
    ckpt_close(c);
    ckpt_close(all);
    Blip2 *m = load(at("model.pth"), &(SourceHints){.language = at("llm")}, &e);
    if (!m)
        fail_msg("%s", e.message);
    assert_memory_equal(m->opt.layer[1].fc2.b.data, other, sizeof other);
    assert_memory_equal(m->vit.cls.data, wide, sizeof wide);
    model_close(m);
}

/* Extents of one in front do not matter: CLIP's class embedding is [D]. */
static void whole_file(void **state)
{
    Error e = {0};
    char name[NAME_LONGEST];
    Checkpoint *c = ckpt_new("all", &e);
    put_configs("");
    for (size_t i = 0; i < ckpt_count(golden); i++) {
        CkptTensor t = *ckpt_at(golden, i);
        if (strcmp(t.name, "vision_model.embeddings.class_embedding") == 0) {
            t.shape[0] = t.shape[2];
            t.rank = 1;
        }
        assert_true(name_lavis(t.name, NAMES_EVA | NAMES_OPT, name, sizeof name));
        add_tensor(c, &t, name);
    }
    put_torch("all.pth", c, 0, 1);
    ckpt_close(c);
    is_golden(at("all.pth"), NULL, "");
    refused(at("preprocessor_config.json"), NULL, ERR_NO_MODEL, "expected a directory");
    put_eva("eva.pth");
    refused(at("eva.pth"), NULL, ERR_BAD_MODEL, "\"query_tokens\": expected, but missing");
}

/* --- stage 1: the Q-Former captions ------------------------------------------------------------------- */

#define CAPTION SOURCE_DIR "/tests/golden/caption"

/* What stage 1 trains under LAVIS' names, the copies that its head for words has of the table and the bias included;
 * the tower is base. */
static void put_stage1(const char *file)
{
    Error e = {0};
    char name[NAME_LONGEST];
    Checkpoint *from = ckpt_open_file(CAPTION "/model.safetensors", &e), *c = ckpt_new("s", &e);
    for (size_t i = 0; i < ckpt_count(from); i++) {
        const CkptTensor *t = ckpt_at(from, i);
        if (str_starts(t->name, "vision_model.") && !strstr(t->name, "post_layernorm"))
            continue;
        add_tensor(c, t, name_lavis(t->name, NAMES_EVA, name, sizeof name) ? name : t->name);
    }
    add_tensor(c, ckpt_find(from, "embeddings.word_embeddings.weight"),
               "Qformer.cls.predictions.decoder.weight");
    add_tensor(c, ckpt_find(from, "cls.predictions.bias"), "Qformer.cls.predictions.decoder.bias");
    put_torch(file, c, 0, 1);
    ckpt_close(c);
    ckpt_close(from);
}

/* The caption of a picture by the model there; free it. */
static char *caption_by(const char *model)
{
    static const uint8_t PIXELS[8 * 8 * 3] = {1, 2, 3, 200, 100, 50, 9, 90, 250};
    blip2_error err = {0};
    blip2_model *m = blip2_model_load(model, NULL, &err);
    blip2_session *s = blip2_session_new(m, NULL, &err);
    blip2_item item = blip2_item_default();
    item.image = blip2_image_from_pixels(PIXELS, 8, 8, 3, &err);
    blip2_result *r = blip2_generate(s, &item, 1, &err);
    if (!blip2_result_text(r, 0))
        fail_msg("%s%s", err.message, blip2_result_error(r, 0)->message);
    assert_null(blip2_model_info(m)->notice);
    char *text = strdup(blip2_result_text(r, 0));
    blip2_result_free(r);
    blip2_image_free(item.image);
    blip2_session_free(s);
    blip2_model_free(m);
    return text;
}

static void stage1(void **state)
{
    Error e = {0};
    char path[300];
    snprintf(path, sizeof path, "%s", at("blip2_pretrained.pth"));
    put_stage1("blip2_pretrained.pth");
    put_eva("eva_vit_g.pth"); /* the tower of both goldens is one */
    copy_file(CAPTION "/config.json", "config.json");
    copy_file(CAPTION "/preprocessor_config.json", "preprocessor_config.json");
    copy_file(SOURCE_DIR "/tests/golden/match/vocab.txt", "vocab.txt");
    Blip2 *want = model_open(dev, CAPTION, PRESET_NONE, &e), *got = load(path, NULL, &e);
    if (!got)
        fail_msg("%s", e.message);
    same_models(want, got);
    assert_true(got->config.parts & PART_WORD_HEAD);
    assert_int_equal(got->config.start, want->config.start);
    model_close(want);
    model_close(got);
    char *by_file = caption_by(path);
    copy_file(CAPTION "/model.safetensors", "model.safetensors");
    char *by_directory = caption_by(scratch);
    assert_string_equal(by_file, by_directory);
    free(by_file);
    free(by_directory);
}

/* --- without a config.json ---------------------------------------------------------------------------- */

/* A tensor of zeros. */
static void add_zeros(Checkpoint *c, const char *name, int rank, int a, int b)
{
    static const float ZEROS[300 * 300];
    CkptTensor t = {.dtype = F16, .rank = rank, .shape = {a, b}, .data = ZEROS, .file = "zeros"};
    t.bytes = 2 * (size_t)a * (size_t)(rank > 1 ? b : 1);
    assert_true(t.bytes <= sizeof ZEROS);
    add_tensor(c, &t, name);
}

/* The tensors that say sizes, of a tower of that many blocks. */
static void add_sizes(Checkpoint *c, int blocks, bool clip)
{
    char name[100];
    int width = clip ? 64 : 176;
    CkptTensor conv = {
        .dtype = F16, .rank = 4, .shape = {width, 3, 7, 7}, .data = "", .file = "zeros"};
    add_tensor(c, &conv,
               clip ? "visual_encoder.conv1.weight" : "visual_encoder.patch_embed.proj.weight");
    add_zeros(c, clip ? "visual_encoder.class_embedding" : "visual_encoder.cls_token", 1, width, 0);
    add_zeros(c, clip ? "visual_encoder.positional_embedding" : "visual_encoder.pos_embed", 2, 10,
              width);
    if (clip)
        add_zeros(c, "visual_encoder.ln_pre.weight", 1, width, 0);
    for (int i = 0; i < blocks; i++) {
        snprintf(name, sizeof name,
                 clip ? "visual_encoder.transformer.resblocks.%d.mlp.c_fc.weight"
                      : "visual_encoder.blocks.%d.mlp.fc1.weight",
                 i);
        add_zeros(c, name, 2, 24, width);
    }
    add_zeros(c, "ln_vision.weight", 1, width, 0);
    add_zeros(c, "query_tokens", 2, 5, 128);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "Qformer.bert.encoder.layer.%d.intermediate_query.dense.weight",
                 i);
        add_zeros(c, name, 2, 20, 128);
        snprintf(name, sizeof name,
                 "Qformer.bert.encoder.layer.%d.crossattention.self.query.weight", i);
        if (i % 2 == 0)
            add_zeros(c, name, 2, 128, 128);
    }
}

static ModelConfig derived(Checkpoint *c, const Folder *language, Error *e)
{
    ModelConfig k = {0};
    Arena mem = {0};
    assert_true(ckpt_unwrap(c, "query_tokens", NULL, NULL, e));
    const char *text = derive_config(c, language, &mem, e);
    if (text) {
        const char *pictures = derive_pictures(c, &mem);
        ConfigText texts[CONFIG_FILES] = {[CONFIG_MODEL] = {text, strlen(text)},
                                          [CONFIG_PREPROCESSOR] = {pictures, strlen(pictures)}};
        config_parse(&k, texts, "derived", e);
    }
    arena_free(&mem);
    return k;
}

static void derives_opt(void **state)
{
    Error e = {0};
    Checkpoint *c = ckpt_new("c", &e);
    add_sizes(c, 3, false);
    add_zeros(c, "opt_proj.weight", 2, 40, 128);
    put_language("llm", false);
    Folder llm = folder_of(at("llm"));
    ModelConfig k = derived(c, &llm, &e);
    if (e.code)
        fail_msg("%s", e.message);
    assert_int_equal(k.kind, MODEL_OPT);
    assert_true(k.vit.width == 176 && k.vit.heads == 2 && k.vit.layers == 3 && k.vit.mlp == 24);
    assert_true(k.vit.patch == 7 && k.vit.image == 21 && k.pixels == 21);
    assert_true(k.vit.eps == 1e-6f && k.vit.post_eps == 1e-5f); /* LAVIS' ln_vision */
    assert_true(k.qformer.width == 128 && k.qformer.heads == 2 && k.qformer.layers == 4);
    assert_true(k.qformer.queries == 5 && k.qformer.cross_every == 2 && k.qformer.mlp == 20);
    assert_false(k.qformer.text);
    assert_true(k.opt.width == 40 && k.opt.heads == 4 && k.opt.layers == 3 && k.opt.vocab == 256);
    assert_int_equal(k.gen.eos[0], 50); /* the file's: its vocabulary has no 50118 */
    assert_true(k.legacy_layout);
    assert_true(k.mean[0] == 0.48145466f && k.std[2] == 0.27577711f && !*k.notes.text);
    ckpt_close(c);
}

static void derives_matching(void **state)
{
    Error e = {0};
    Checkpoint *c = ckpt_new("c", &e);
    add_sizes(c, 2, false);
    add_zeros(c, "itm_head.weight", 2, 2, 128);
    add_zeros(c, "text_proj.weight", 2, 9, 128);
    add_zeros(c, "Qformer.bert.encoder.layer.0.intermediate.dense.weight", 2, 20, 128);
    ModelConfig k = derived(c, NULL, &e);
    assert_int_equal(e.code, 0);
    assert_int_equal(k.kind, MODEL_MATCHING);
    assert_true(k.qformer.text);
    ckpt_close(c);
}

static void derives_t5(void **state)
{
#define T5 "t5_model.encoder.block.0.layer."
    Error e = {0};
    Checkpoint *c = ckpt_new("c", &e);
    add_sizes(c, 2, false);
    add_zeros(c, "t5_proj.weight", 2, 24, 128);
    add_zeros(c, "t5_model.shared.weight", 2, 99, 24);
    add_zeros(c, T5 "0.layer_norm.weight", 1, 24, 0);
    add_zeros(c, "t5_model.decoder.block.0.layer.0.layer_norm.weight", 1, 24, 0);
    add_zeros(c, "t5_model.decoder.block.1.layer.0.layer_norm.weight", 1, 24, 0);
    add_zeros(c, T5 "0.SelfAttention.relative_attention_bias.weight", 2, 32, 3);
    add_zeros(c, T5 "0.SelfAttention.q.weight", 2, 30, 24);
    add_zeros(c, T5 "1.DenseReluDense.wi_0.weight", 2, 28, 24);
    ModelConfig k = derived(c, NULL, &e);
    if (e.code)
        fail_msg("%s", e.message);
    assert_int_equal(k.kind, MODEL_T5);
    assert_true(k.t5.width == 24 && k.t5.heads == 3 && k.t5.key_width == 10 && k.t5.mlp == 28);
    assert_true(k.t5.layers == 1 && k.t5.decoder_layers == 2 && k.t5.vocab == 99);
    assert_true(!k.t5.gelu_tanh && !k.t5.scaled);
    ckpt_close(c);
}

/* Two of three blocks of a base tower; a width that has no whole heads. */
static void derives_tower(void **state)
{
    Error e = {0};
    Checkpoint *c = ckpt_new("c", &e);
    add_sizes(c, 3, false);
    for (size_t i = 0; i < c->list.n; i++)
        if (str_starts(c->list.t[i].name, "visual_encoder."))
            c->list.t[i].piece = PIECE_VIT;
    assert_int_equal(derived(c, NULL, &e).vit.layers, 2);
    ckpt_close(c);
    c = ckpt_new("c", &e);
    add_sizes(c, 3, true);
    ModelConfig k = derived(c, NULL, &e);
    assert_int_equal(e.code, ERR_NONE);
    assert_true(k.vit.clip && k.vit.quick_gelu && k.vit.eps == 1e-5f && k.vit.post_eps == 1e-5f);
    ckpt_close(c);
    c = ckpt_new("c", &e);
    derived(c, NULL, &e);
    assert_non_null(strstr(e.message, "c: tensor \"query_tokens\": expected, but missing"));
    ckpt_close(c);
    e = (Error){0};
    put_eva("eva_vit_g.pth");
    put_language("llm", false);
    copy_file(LAVIS "/stage2.pth", "model.pth");
    refused(at("model.pth"), &(SourceHints){.language = at("llm")}, ERR_BAD_MODEL,
            "expected a width of whole heads of 88, got 48: a config.json beside the file");
}

/* A directory with LAVIS' file and no config.json is that file. */
static void directory(void **state)
{
    put_eva("eva_vit_g.pth");
    copy_file(LAVIS "/stage2.pth", "model.pth");
    refused(scratch, NULL, ERR_NO_MODEL, "/model.pth: language model: the file has none");
    copy_file(LAVIS "/stage2.pth", "another.pth");
    refused(scratch, NULL, ERR_BAD_MODEL,
            "/another.pth: weights: expected a config.json beside them");
}

/* --- memory --------------------------------------------------------------------------------------------- */

static void survives_lack_of_memory(void **state)
{
    size_t before = mem_in_use();
    bool done = false;
    put_pieces(false);
    char path[300], llm[300];
    snprintf(path, sizeof path, "%s", at("model.pth"));
    snprintf(llm, sizeof llm, "%s", at("llm"));
    for (long n = 1; !done; n++) {
        Error e = {0};
        mem_fail_at(n);
        Blip2 *m = load(path, &(SourceHints){.language = llm}, &e);
        done = !mem_fail_hit();
        mem_fail_at(0);
        if (!m)
            assert_int_equal(e.code, ERR_MEMORY);
        model_close(m);
        assert_int_equal(mem_in_use(), before);
        assert_true(n < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(clip_names),
        cmocka_unit_test(other_names),
        cmocka_unit_test(parts),
        cmocka_unit_test_setup(pieces, clean),
        cmocka_unit_test_setup(pieces_found, clean),
        cmocka_unit_test_setup(which_language, clean),
        cmocka_unit_test_setup(later_wins, clean),
        cmocka_unit_test_setup(whole_file, clean),
        cmocka_unit_test_setup(stage1, clean),
        cmocka_unit_test_setup(derives_opt, clean),
        cmocka_unit_test_setup(derives_matching, clean),
        cmocka_unit_test_setup(derives_t5, clean),
        cmocka_unit_test_setup(derives_tower, clean),
        cmocka_unit_test_setup(directory, clean),
        cmocka_unit_test_setup(survives_lack_of_memory, clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
