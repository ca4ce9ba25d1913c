/* A model directory's own description: defaults, real files, refusals. The expected defaults are
 * those of transformers' configuration classes. */
#include "test_ckpt_files.h"

#include "ckpt/hub.h"
#include "config/config.h"

static const char *const FILES[CONFIG_FILES] = {
    "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json"};

static bool parse(ModelConfig *c, const char *model, const char *generation,
                  const char *preprocessor, const char *processor, Error *e)
{
    const char *texts[CONFIG_FILES] = {model, generation, preprocessor, processor};
    ConfigText t[CONFIG_FILES] = {0};
    for (int i = 0; i < CONFIG_FILES; i++)
        if (texts[i])
            t[i] = (ConfigText){texts[i], strlen(texts[i])};
    *e = (Error){0};
    return config_parse(c, t, "DIR", e);
}

static ModelConfig parsed(const char *model, const char *generation, const char *preprocessor,
                          const char *processor)
{
    ModelConfig c;
    Error e;
    if (!parse(&c, model, generation, preprocessor, processor, &e))
        fail_msg("%s", e.message);
    return c;
}

/* The text given for one of the files is refused with a message that names the file and says so. */
static void refused(ConfigFile file, const char *text, const char *says)
{
    ModelConfig c;
    Error e;
    const char *t[CONFIG_FILES] = {"{}"};
    t[file] = text;
    if (parse(&c, t[0], t[1], t[2], t[3], &e))
        fail_msg("accepted: %s", text);
    char start[64];
    snprintf(start, sizeof start, "DIR/%s: ", FILES[file]);
    check_error(&e, ERR_BAD_MODEL, start, says, NULL);
}

/* --- what is read ------------------------------------------------------------------------------- */

static void near(double got, double want)
{
    if (!(got >= want * (1 - 1e-6) && got <= want * (1 + 1e-6)))
        fail_msg("expected %g, got %g", want, got);
}

static void defaults(void **state)
{
    ModelConfig c = parsed("{}", NULL, NULL, NULL);
    assert_int_equal(c.kind, MODEL_OPT);
    assert_int_equal(c.vit.width, 1408);
    assert_int_equal(c.vit.mlp, 6144);
    assert_int_equal(c.vit.layers, 39);
    assert_int_equal(c.vit.heads, 16);
    assert_int_equal(c.vit.image, 224);
    assert_int_equal(c.vit.patch, 14);
    near(c.vit.eps, 1e-6);
    assert_true(c.vit.qkv_bias);
    assert_int_equal(c.qformer.width, 768);
    assert_int_equal(c.qformer.mlp, 3072);
    assert_int_equal(c.qformer.layers, 12);
    assert_int_equal(c.qformer.heads, 12);
    assert_int_equal(c.qformer.queries, 32);
    assert_int_equal(c.qformer.cross_every, 2);
    assert_int_equal(c.qformer.image_width, 1408);
    near(c.qformer.eps, 1e-12);
    assert_false(c.qformer.text);
    assert_int_equal(c.opt.width, 768);
    assert_int_equal(c.opt.layers, 12);
    assert_int_equal(c.opt.heads, 12);
    assert_int_equal(c.opt.mlp, 3072);
    assert_int_equal(c.opt.vocab, 50272);
    assert_int_equal(c.opt.positions, 2048);
    assert_int_equal(c.bos, 2);
    assert_int_equal(c.pad, 1);
    assert_int_equal(c.gen.n_eos, 1);
    assert_int_equal(c.gen.eos[0], 2);
    assert_int_equal(c.gen.num_beams, 1);
    assert_int_equal(c.gen.max_new_tokens, 0);
    assert_int_equal(c.gen.max_length, 0);
    near(c.gen.length_penalty, 1);
    near(c.gen.repetition_penalty, 1);
    assert_int_equal(c.gen.top_k, 50);
    near(c.gen.top_p, 1);
    near(c.gen.temperature, 1);
    assert_int_equal(c.gen.early_stopping, 0);
    assert_false(c.gen.sample);
    assert_int_equal(c.image_token, -1);
    assert_true(c.legacy_layout);
    assert_int_equal(c.pixels, 224);
    near(c.mean[0], 0.48145466);
    near(c.mean[2], 0.40821073);
    near(c.std[0], 0.26862954);
    near(c.std[1], 0.26130258);
    assert_string_equal(c.prompt, "");
    assert_string_equal(c.licence, "");
}

static void tiny_opt(void **state)
{
    ModelConfig c;
    Error e = {0};
    assert_true(config_load(&c, SOURCE_DIR "/tests/golden/opt", &e));
    assert_int_equal(c.kind, MODEL_OPT);
    assert_int_equal(c.vit.width, 48);
    assert_int_equal(c.vit.image, 56);
    assert_int_equal(c.qformer.width, 32);
    assert_int_equal(c.qformer.queries, 6);
    assert_int_equal(c.qformer.image_width, 48);
    assert_int_equal(c.opt.width, 40);
    assert_int_equal(c.opt.mlp, 88);
    assert_int_equal(c.opt.vocab, 256);
    assert_int_equal(c.opt.positions, 96);
    assert_int_equal(c.gen.eos[0], 50);
    assert_int_equal(c.image_token, 250);
    assert_false(c.legacy_layout);
    assert_int_equal(c.pixels, 56);
}

static void embedded(void **state)
{
    ModelConfig c;
    Error e = {0};
    assert_true(config_load(&c, SOURCE_DIR "/models/scenes", &e));
    assert_int_equal(c.vit.patch, 16);
    assert_int_equal(c.pixels, 96);
    assert_int_equal(c.image_token, 587);
    assert_int_equal(c.gen.eos[0], 202);
}

static void kinds(void **state)
{
    ModelConfig c = parsed("{\"text_config\":{\"model_type\":\"t5\",\"feed_forward_proj\":"
                           "\"gated-gelu\"}}",
                           NULL, NULL, NULL);
    assert_int_equal(c.kind, MODEL_T5);
    assert_int_equal(c.start, 0);
    assert_int_equal(c.pad, 0);
    assert_int_equal(c.gen.eos[0], 1);
    assert_int_equal(c.opt.width, 0);
    assert_int_equal(c.t5.width, 512);
    assert_int_equal(c.t5.decoder_layers, 6);
    assert_true(c.t5.gelu_tanh && c.t5.scaled);
    c = parsed("{\"text_config\":{\"model_type\":\"t5\",\"feed_forward_proj\":\"gated-gelu\","
               "\"dense_act_fn\":\"gelu\",\"tie_word_embeddings\":false,\"num_layers\":3,"
               "\"num_decoder_layers\":2,\"decoder_start_token_id\":5,\"d_kv\":12}}",
               NULL, NULL, NULL);
    assert_true(!c.t5.gelu_tanh && !c.t5.scaled);
    assert_int_equal(c.t5.layers * 10 + c.t5.decoder_layers, 32);
    assert_int_equal(c.start * 100 + c.t5.key_width, 512);
    c = parsed("{\"text_config\":{\"model_type\":\"t5\",\"feed_forward_proj\":\"gated-gelu\","
               "\"tie_word_embeddings\":true,\"scale_decoder_outputs\":false}}",
               NULL, NULL, NULL);
    assert_false(c.t5.scaled); /* as transformers 5 saves Flan-T5 */
    c = parsed("{}", NULL, NULL, NULL);
    assert_int_equal(c.start, -1);
    c = parsed("{\"architectures\":[\"Blip2ForImageTextRetrieval\"],\"image_token_index\":30523}",
               NULL, NULL, NULL);
    assert_int_equal(c.kind, MODEL_MATCHING);
    assert_int_equal(c.image_token, 30523);
    c = parsed("{\"qformer_config\":{\"use_qformer_text_input\":true}}", NULL, NULL, NULL);
    assert_int_equal(c.kind, MODEL_MATCHING);
    assert_true(c.qformer.text);
    c = parsed("{\"architectures\":[\"Blip2ForConditionalGeneration\"]}", NULL, NULL, NULL);
    assert_int_equal(c.kind, MODEL_OPT);
}

static void ids(void **state)
{
    ModelConfig c = parsed("{\"text_config\":{\"eos_token_id\":50118,\"pad_token_id\":3}}",
                           "{\"bos_token_id\":7}", NULL, NULL);
    assert_int_equal(c.gen.eos[0], 50118);
    assert_int_equal(c.pad, 3);
    assert_int_equal(c.bos, 7);
    c = parsed("{\"text_config\":{\"eos_token_id\":[1,2,3]}}", "{\"eos_token_id\":[50118,2]}", NULL,
               NULL);
    assert_int_equal(c.gen.n_eos, 2);
    assert_int_equal(c.gen.eos[0], 50118);
    assert_int_equal(c.gen.eos[1], 2);
    c = parsed("{\"text_config\":{\"eos_token_id\":[1,2,3]}}", "{\"eos_token_id\":9}", NULL, NULL);
    assert_int_equal(c.gen.n_eos, 1);
    assert_int_equal(c.gen.eos[0], 9);
    c = parsed("{\"text_config\":{\"eos_token_id\":[4,5]}}", "{\"eos_token_id\":null}", NULL, NULL);
    assert_int_equal(c.gen.n_eos, 2);
    c = parsed("{\"image_token_id\":50265}", NULL, NULL, NULL);
    assert_int_equal(c.image_token, 50265);
    c = parsed("{\"image_token_index\":50265}", NULL, NULL, NULL);
    assert_int_equal(c.image_token, 50265);
}

static void generation(void **state)
{
    ModelConfig c = parsed("{}",
                           "{\"num_beams\":5,\"max_new_tokens\":30,\"min_new_tokens\":2,"
                           "\"max_length\":40,\"min_length\":8,\"length_penalty\":-1,"
                           "\"repetition_penalty\":1.5,\"no_repeat_ngram_size\":3,"
                           "\"do_sample\":true,\"top_k\":0,\"top_p\":0.9,\"temperature\":0.7,"
                           "\"early_stopping\":\"never\",\"transformers_version\":\"4.31.0\"}",
                           NULL, NULL);
    assert_int_equal(c.gen.num_beams, 5);
    assert_int_equal(c.gen.max_new_tokens, 30);
    assert_int_equal(c.gen.min_new_tokens, 2);
    assert_int_equal(c.gen.max_length, 40);
    assert_int_equal(c.gen.min_length, 8);
    assert_true(c.gen.length_penalty == -1);
    near(c.gen.repetition_penalty, 1.5);
    assert_int_equal(c.gen.no_repeat_ngram, 3);
    assert_true(c.gen.sample);
    assert_int_equal(c.gen.top_k, 0);
    near(c.gen.top_p, 0.9);
    near(c.gen.temperature, 0.7);
    assert_int_equal(c.gen.early_stopping, 2);
    c = parsed("{}", "{\"early_stopping\":true}", NULL, NULL);
    assert_int_equal(c.gen.early_stopping, 1);
    c = parsed("{}", "{\"early_stopping\":false}", NULL, NULL);
    assert_int_equal(c.gen.early_stopping, 0);
}

static void pictures(void **state)
{
    ModelConfig c =
        parsed("{}", NULL, "{\"size\":112,\"image_mean\":[0.5,0,-1],\"image_std\":[1,2,3]}", NULL);
    assert_int_equal(c.pixels, 112);
    near(c.mean[0], 0.5);
    assert_true(c.mean[2] == -1);
    near(c.std[2], 3);
    c = parsed("{}", NULL, "{\"size\":[112.0,112]}", NULL);
    assert_int_equal(c.pixels, 112);
    c = parsed("{}", NULL, "{\"size\":112.0}", NULL);
    assert_int_equal(c.pixels, 112);
    c = parsed("{}", NULL, "{\"size\":{\"height\":364,\"width\":364}}", NULL);
    assert_int_equal(c.pixels, 364);
    assert_string_equal(c.prompt, "a photo of");
    c = parsed("{\"vision_config\":{\"image_size\":364}}", NULL, NULL, "{\"num_query_tokens\":32}");
    assert_int_equal(c.pixels, 364);
    assert_string_equal(c.prompt, "a photo of");
    assert_false(c.legacy_layout);
    c = parsed("{}", NULL, "{\"size\":112}",
               "{\"image_processor\":{\"size\":{\"height\":56,\"width\":56}}}");
    assert_int_equal(c.pixels, 56);
    assert_true(c.legacy_layout);
}

/* Printed as it is, so it must be short and harmless. */
static void licence_is_a_label(void **state)
{
    char at_most[64], file[128];
    memset(at_most, 'x', 63);
    at_most[63] = 0;
    snprintf(file, sizeof file, "{\"license\":\"%s\"}", at_most);
    assert_string_equal(parsed(file, 0, 0, 0).licence, at_most);
    snprintf(file, sizeof file, "{\"license\":\"%sx\"}", at_most);
    assert_string_equal(parsed(file, 0, 0, 0).licence, "");
    assert_string_equal(parsed("{\"license\":\"mit\"}", 0, 0, 0).licence, "mit");
    assert_string_equal(parsed("{\"license\":\"a\\u001b[2J\"}", 0, 0, 0).licence, "");
    assert_string_equal(parsed("{\"license\":null}", 0, 0, 0).licence, "");
}

/* --- what is refused ---------------------------------------------------------------------------- */

typedef struct Case {
    const char *text, *says;
} Case;

static void all_refused(ConfigFile file, const Case *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        refused(file, v[i].text, v[i].says);
}

#define REFUSED(file, cases) all_refused(file, cases, sizeof(cases) / sizeof(cases)[0])

static void refuses_models(void **state)
{
    static const Case BAD[] = {
        {"", "expected JSON, got an empty file"},
        {"{", "bad JSON"},
        {"{\"license\":16}", "license: expected a string"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"[]", "file: expected an object"},
        {"{\"model_type\":\"llava\"}", "model_type: expected \"blip-2\", got \"llava\""},
        {"{\"model_type\":7}", "model_type: expected a string, got an integer"},
        {"{\"vision_config\":[]}", "vision_config: expected an object"},
        {"{\"vision_config\":{\"hidden_size\":\"x\"}}",
         "vision_config: hidden_size: expected an integer, got a string"},
        {"{\"vision_config\":{\"hidden_size\":1408.5}}", "hidden_size: expected an integer"},
        {"{\"vision_config\":{\"hidden_size\":0}}",
         "hidden_size: expected an integer in [1, 1000000], got 0"},
        {"{\"vision_config\":{\"hidden_size\":1000001}}", "got 1000001"},
        {"{\"vision_config\":{\"hidden_size\":99999999999999999999}}",
         "hidden_size: expected an integer in [1, 1000000], got"},
        {"{\"vision_config\":{\"hidden_size\":1400}}",
         "vision_config: num_attention_heads: expected a divisor of hidden_size 1400, got 16"},
        {"{\"vision_config\":{\"num_hidden_layers\":1001}}",
         "num_hidden_layers: expected an integer"},
        {"{\"vision_config\":{\"image_size\":4097}}",
         "image_size: expected an integer in [1, 4096]"},
        {"{\"vision_config\":{\"image_size\":[224,224]}}",
         "image_size: expected an integer, got a"},
        {"{\"vision_config\":{\"patch_size\":225}}", "along image_size 224, got patches of 225"},
        {"{\"vision_config\":{\"image_size\":2048,\"patch_size\":1}}", "got patches of 1"},
        {"{\"vision_config\":{\"layer_norm_eps\":-1}}",
         "layer_norm_eps: expected a number in [0, 1]"},
        {"{\"vision_config\":{\"layer_norm_eps\":1e999}}",
         "layer_norm_eps: expected a number in [0, 1], got"},
        {"{\"vision_config\":{\"qkv_bias\":1}}", "qkv_bias: expected true or false"},
        {"{\"vision_config\":{\"hidden_act\":\"gelu_new\"}}",
         "vision_config: hidden_act: expected \"gelu\", got \"gelu_new\""},
        {"{\"vision_config\":{\"pre_layernorm\":1}}", "pre_layernorm: expected true or false"},
        {"{\"qformer_config\":{\"hidden_act\":\"relu\"}}", "qformer_config: hidden_act"},
        {"{\"qformer_config\":{\"position_embedding_type\":\"relative_key\"}}", "relative_key"},
        {"{\"qformer_config\":{\"num_attention_heads\":5}}",
         "qformer_config: num_attention_heads: expected a divisor of hidden_size 768, got 5"},
        {"{\"qformer_config\":{\"cross_attention_frequency\":0}}", "cross_attention_frequency"},
        {"{\"num_query_tokens\":0}", "num_query_tokens: expected an integer in [1, 4096], got 0"},
        {"{\"text_config\":{\"model_type\":\"llama\"}}",
         "text_config: model_type: expected \"opt\", got \"llama\""},
        {"{\"text_config\":{\"do_layer_norm_before\":false}}",
         "text_config: do_layer_norm_before: expected true, got false"},
        {"{\"text_config\":{\"model_type\":\"t5\"}}",
         "text_config: feed_forward_proj: expected \"gated-gelu\", got"},
        {"{\"text_config\":{\"model_type\":\"t5\",\"feed_forward_proj\":\"gated-gelu\","
         "\"dense_act_fn\":\"silu\"}}",
         "text_config: dense_act_fn: expected \"gelu\", got \"silu\""},
        {"{\"text_config\":{\"model_type\":\"t5\",\"relative_attention_max_distance\":16}}",
         "text_config: relative_attention_max_distance: expected an integer in [17, "},
        {"{\"text_config\":{\"word_embed_proj_dim\":512}}",
         "text_config: word_embed_proj_dim: expected 768 as hidden_size, got 512"},
        {"{\"text_config\":{\"activation_function\":\"gelu\"}}",
         "activation_function: expected \"relu\", got \"gelu\""},
        {"{\"text_config\":{\"activation_function\":\"re\\nlu\"}}", "got \"re?lu\""},
        {"{\"text_config\":{\"enable_bias\":false}}", "enable_bias"},
        {"{\"text_config\":{\"layer_norm_elementwise_affine\":false}}", "layer_norm_elementwise"},
        {"{\"text_config\":{\"_remove_final_layer_norm\":true}}", "_remove_final_layer_norm"},
        {"{\"text_config\":{\"num_attention_heads\":11}}", "text_config: num_attention_heads"},
        {"{\"text_config\":{\"vocab_size\":-1}}", "vocab_size"},
        {"{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}}",
         "quantization_config: expected none, got weights quantised with gptq"},
        {"{\"text_config\":{\"eos_token_id\":50272.5}}", "eos_token_id: expected an integer"},
        {"{\"image_token_index\":\"<image>\"}", "image_token_index: expected an integer"},
    };
    REFUSED(CONFIG_MODEL, BAD);
}

static void refuses_generation(void **state)
{
    static const Case BAD[] = {
        {"{}x", "bad JSON"},
        {"3", "expected"},
        {"{\"eos_token_id\":[]}", "eos_token_id: expected 1 to 8 ids, got none"},
        {"{\"eos_token_id\":[1,2,3,4,5,6,7,8,9]}", "eos_token_id: expected 1 to 8 ids, got 9"},
        {"{\"eos_token_id\":[\"a\"]}", "eos_token_id"},
    };
    REFUSED(CONFIG_GENERATION, BAD);
    parsed("{}",
           "{\"forced_eos_token_id\":null,\"suppress_tokens\":[],\"num_beam_groups\":1,"
           "\"typical_p\":1.0,\"diversity_penalty\":0.0,\"guidance_scale\":null}",
           NULL, NULL);
}

/* Settings that only HF's rules read: refused under those, and when they count. */
static void faults_of_generation(void **state)
{
    static const Case BAD[] = {
        {"{\"num_beams\":0}", "num_beams: expected an integer in [1, 1000], got 0"},
        {"{\"max_length\":-1}", "max_length"},
        {"{\"max_new_tokens\":1e3}", "max_new_tokens: expected an integer"},
        {"{\"top_p\":1.5}", "top_p: expected a number in [0, 1], got 1.5"},
        {"{\"temperature\":-0.1}", "temperature"},
        {"{\"repetition_penalty\":0}", "repetition_penalty"},
        {"{\"length_penalty\":\"1\"}", "length_penalty: expected a number"},
        {"{\"early_stopping\":\"always\"}", "early_stopping: expected true, false or \"never\""},
        {"{\"early_stopping\":1}", "early_stopping"},
        {"{\"do_sample\":\"yes\"}", "do_sample"},
        {"{\"forced_eos_token_id\":0}", "forced_eos_token_id: expected it unset"},
        {"{\"suppress_tokens\":[4]}", "suppress_tokens: expected it unset"},
        {"{\"bad_words_ids\":[[4,5]]}", "bad_words_ids: expected it unset"},
        {"{\"num_beam_groups\":2}", "num_beam_groups: expected it unset"},
        {"{\"typical_p\":0.5}", "typical_p: expected it unset"},
        {"{\"top_h\":0.5}", "top_h: expected it unset"},
        {"{\"renormalize_logits\":true}", "renormalize_logits: expected it unset"},
        {"{\"stop_strings\":[\"x\"]}", "stop_strings: expected it unset"},
        {"{\"max_time\":3.5}", "max_time: expected it unset"},
        {"{\"num_return_sequences\":0}", "num_return_sequences: expected an integer in [1, 1000]"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        ModelConfig c = parsed("{}", BAD[i].text, NULL, NULL);
        bool sampling = strstr(BAD[i].text, "_p\"") || strstr(BAD[i].text, "temperature") ||
                        strstr(BAD[i].text, "top_h");
        bool beams = strstr(BAD[i].text, "groups") || strstr(BAD[i].text, "length_penalty") ||
                     strstr(BAD[i].text, "early_stopping") || strstr(BAD[i].text, "renormalize");
        const char *fault = c.hf_fault[sampling ? GEN_SAMPLING : beams ? GEN_BEAMS : GEN_ALWAYS];
        if (!strstr(fault, BAD[i].says) || !strstr(c.notes.text, "DIR/generation_config.json: "))
            fail_msg("%s: \"%s\", \"%s\"", BAD[i].text, fault, c.notes.text);
        assert_true(!*c.hf_fault[GEN_ALWAYS] == (sampling || beams));
    }
    ModelConfig c = parsed("{\"text_config\":{\"bos_token_id\":\"</s>\"}}", NULL, NULL, NULL);
    assert_int_equal(c.bos, 2);
    assert_non_null(strstr(c.notes.text, "bos_token_id: expected an integer"));
    c = parsed("{}", "{\"num_beams\":3,\"num_return_sequences\":2}", NULL, NULL);
    assert_string_equal(c.hf_fault[GEN_ALWAYS], "");
    assert_int_equal(c.gen.num_captions, 2);
    assert_string_equal(c.notes.text, "");
}

/* Two places that state one value: the one that transformers 5.24 follows, and a note. */
static void disagreements(void **state)
{
    ModelConfig c = parsed("{\"qformer_config\":{\"encoder_hidden_size\":1024}}", 0, 0, 0);
    assert_int_equal(c.qformer.image_width, 1408); /* Blip2Config */
    assert_non_null(strstr(c.notes.text, "encoder_hidden_size: 1024"));
    c = parsed("{\"text_config\":{\"eos_token_id\":50118}}", "{\"eos_token_id\":2}", 0, 0);
    assert_int_equal(c.gen.eos[0], 2);
    assert_non_null(strstr(c.notes.text, "eos_token_id: 2, where text_config"));
    c = parsed("{\"text_config\":{\"eos_token_id\":2}}", "{\"eos_token_id\":[2,50118]}", 0, 0);
    assert_non_null(
        strstr(c.notes.text, "eos_token_id: 2, 50118, where text_config of config.json says 2:"));
    c = parsed("{}", "{\"eos_token_id\":50118}", 0, 0); /* only one states it */
    assert_string_equal(c.notes.text, "");
    c = parsed("{\"image_token_index\":7,\"image_token_id\":8}", 0, 0, 0);
    assert_int_equal(c.image_token, 7);
    c = parsed("{}", 0, "{\"size\":112}", 0);
    assert_non_null(strstr(c.notes.text, "DIR/preprocessor_config.json: size: 112 pixels"));
    c = parsed("{\"text_config\":{\"vocab_size\":2}}", 0, 0, 0);
    assert_non_null(strstr(c.notes.text, "eos_token_id: 2, beyond the vocabulary of 2"));
}

/* image_processor of processor_config.json is all that counts where it is there: what it does not say has
 * the default, not preprocessor_config.json's value (get_image_processor_dict). */
static void nested_processor_replaces(void **state)
{
    static const char PRE[] = "{\"size\":112,\"image_mean\":[0.5,0.5,0.5],\"do_rescale\":false}";
    ModelConfig c = parsed("{}", 0, PRE, "{\"image_processor\":{\"size\":224}}");
    assert_int_equal(c.pixels, 224);
    near(c.mean[0], 0.48145466);
    assert_non_null(strstr(c.notes.text, "DIR/preprocessor_config.json: not read"));
    c = parsed("{}", 0, "{\"size\":224}", "{\"image_processor\":{\"size\":224}}");
    assert_string_equal(c.notes.text, "");
}

static void refuses_pictures(void **state)
{
    static const Case BAD[] = {
        {"{\"size\":{\"height\":224,\"width\":256}}",
         "size: expected equal height and width, got height 224 and width 256"},
        {"{\"size\":{\"shortest_edge\":224}}",
         "size: expected height and width, got shortest_edge"},
        {"{\"size\":[224,256]}",
         "size: expected equal height and width, got height 224 and width 256"},
        {"{\"size\":{\"height\":0,\"width\":0}}", "size: height: expected an integer in [1, 4096]"},
        {"{\"size\":5000}", "size: expected an integer in [1, 4096], got 5000"},
        {"{\"size\":13}", "size: expected 14 to 896 pixels, at most 4 times the 224"},
        {"{\"size\":910}", "size: expected 14 to 896 pixels, at most 4 times the 224"},
        {"{\"size\":[224]}", "size: expected an integer, got a list"},
        {"{\"image_mean\":[0,0]}", "image_mean: expected 3 numbers"},
        {"{\"image_mean\":0.5}", "image_mean: expected 3 numbers"},
        {"{\"image_mean\":[0,0,\"0\"]}", "image_mean: expected 3 numbers"},
        {"{\"image_mean\":[0,0,1e300]}", "image_mean: expected 3 numbers"},
        {"{\"image_std\":[1,1,0]}", "image_std: expected 3 numbers above 0"},
        {"{\"image_std\":[1,-1,1]}", "image_std: expected 3 numbers above 0"},
        {"{\"resample\":2}", "resample: expected 3 (bicubic), got 2"},
        {"{\"rescale_factor\":1}", "rescale_factor: expected 1/255, got 1"},
        {"{\"do_resize\":false}", "do_resize: expected true, got false"},
        {"{\"do_rescale\":false}", "do_rescale"},
        {"{\"do_normalize\":false}", "do_normalize"},
        {"{\"do_center_crop\":true}", "do_center_crop: expected false, got true"},
    };
    static const Case BAD_PROCESSOR[] = {
        {"{\"num_query_tokens\":\"32\"}", "num_query_tokens: expected an integer"},
        {"{\"image_processor\":3}", "image_processor: expected an object"},
        {"{\"image_processor\":{\"resample\":0}}", "image_processor: resample"},
        {"{\"image_processor\":{\"size\":{\"height\":1}}}", "image_processor: size"},
    };
    REFUSED(CONFIG_PREPROCESSOR, BAD);
    REFUSED(CONFIG_PROCESSOR, BAD_PROCESSOR);
}

static void refuses_deep_nesting(void **state)
{
    static char deep[100001];
    memset(deep, '[', sizeof deep - 1);
    memcpy(deep, "{\"a\":", 5);
    refused(CONFIG_MODEL, deep, "nested");
}

/* --- directories -------------------------------------------------------------------------------- */

static void directories(void **state)
{
    ModelConfig c;
    Error e = {0};
    assert_false(config_load(&c, at("absent"), &e));
    check_error(&e, ERR_NO_MODEL, "absent: model: expected a directory, got nothing", NULL);
    put_text("file", "x");
    e = (Error){0};
    assert_false(config_load(&c, at("file"), &e));
    check_error(&e, ERR_NO_MODEL, "got something else", NULL);
    e = (Error){0};
    assert_false(config_load(&c, scratch, &e));
    check_error(&e, ERR_NO_MODEL, scratch, ": config.json: expected", NULL);
    put_text("config.json", "{}");
    put_text("processor_config.json", "{\"num_query_tokens\":31}");
    e = (Error){0};
    assert_true(config_load(&c, scratch, &e));
    assert_non_null(strstr(c.hf_fault[GEN_ALWAYS], "expected 32 as in config.json, got 31"));
    put_text("processor_config.json", "{\"num_query_tokens\":32}");
    e = (Error){0};
    assert_true(config_load(&c, scratch, &e));
    assert_false(c.legacy_layout);
    static char big[(1 << 20) + 2];
    memset(big, ' ', sizeof big - 1);
    put_text("config.json", big);
    assert_false(config_load(&c, scratch, &e));
    check_error(&e, ERR_BAD_MODEL, at("config.json"), "at most 1048576 bytes", NULL);
    put_text("config.json", "");
    e = (Error){0};
    assert_false(config_load(&c, scratch, &e));
    check_error(&e, ERR_BAD_MODEL, at("config.json"), "an empty file", NULL);
}

static void licences(void **state)
{
    static const struct {
        const char *readme, *want;
    } V[] = {
        {"---\nlanguage: en\nlicense: mit\ntags:\n- vision\n---\n# BLIP-2\n", "mit"},
        {"---\r\nlicense: \"apache-2.0\" \r\n---\r\n", "apache-2.0"},
        {"---\nlicense: 'other'", "other"},
        {"---\ntags: x\n---\nlicense: mit\n", ""},
        {"# BLIP-2\nlicense: mit\n", ""},
        {"---\nlicense: a\x1b[2J\n---\n", ""},
        {"---\nlicense: 0123456789012345678901234567890123456789012345678901234567890123\n", ""},
        {"---\nlicense:\n---\n", ""},
        {"---", ""},
        {"", ""},
    };
    put_text("config.json", "{}");
    put_text("processor_config.json", "{}");
    for (size_t i = 0; i < sizeof V / sizeof V[0]; i++) {
        ModelConfig c;
        Error e = {0};
        put_text("README.md", V[i].readme);
        assert_true(config_load(&c, scratch, &e));
        assert_string_equal(c.licence, V[i].want);
    }
}

static void survives_lack_of_memory(void **state)
{
    size_t before = mem_in_use();
    bool done = false;
    for (long n = 1; !done; n++) {
        ModelConfig c;
        Error e = {0};
        mem_fail_at(n);
        bool ok = config_load(&c, SOURCE_DIR "/tests/golden/opt", &e);
        done = !mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(ok, done);
        if (!done)
            check_error(&e, ERR_MEMORY, "out of memory", NULL);
        assert_int_equal(mem_in_use(), before);
        assert_true(n < 1000);
    }
}

/* --- the zoo ------------------------------------------------------------------------------------ */

/* Parameters of the vision tower, its last norm included. */
static long vision_parameters(const VitConfig *v)
{
    long d = v->width, f = v->mlp, grid = v->image / v->patch;
    long layer = 4 * d + 3 * d * d + 3 * d + d * d + d + 2 * d * f + d + f;
    return d + (grid * grid + 1) * d + 3L * v->patch * v->patch * d + d + v->layers * layer + 2 * d;
}

static long qformer_parameters(const QformerConfig *q)
{
    long h = q->width, f = q->mlp, e = q->image_width;
    long layer = 4 * (h * h + h) + 2 * h + 2 * h * f + f + h + 2 * h;
    long cross = 2 * (h * h + h) + 2 * (e * h + h) + 2 * h;
    return 2 * h + q->queries * h + q->layers * layer + q->layers / q->cross_every * cross;
}

static long opt_parameters(const OptConfig *o)
{
    long d = o->width, f = o->mlp;
    long layer = 4 * (d * d + d) + 4 * d + 2 * d * f + f + d;
    return (long)o->vocab * d + (o->positions + 2) * d + 2 * d + o->layers * layer;
}

static long t5_parameters(const T5Config *t)
{
    long d = t->width, inner = (long)t->heads * t->key_width, attend = 4 * d * inner + d;
    long feed = 3 * d * t->mlp + d, bias = (long)t->buckets * t->heads;
    return 2l * t->vocab * d + t->layers * (attend + feed) + bias + d +
           t->decoder_layers * (2 * attend + feed) + bias + d;
}

static void zoo_sizes(void **state)
{
    static const struct {
        const char *name;
        long vision, qformer, language;
        ModelKind kind;
    } V[] = {
        {"opt-2.7b", 985952256, 105162240, 2651596800 + 81920, MODEL_OPT},
        {"opt-6.7b", 985952256, 105162240, 6658473984 + 131072, MODEL_OPT},
        {"opt-2.7b-coco", 986543616, 105162240, 2651596800 + 81920, MODEL_OPT},
        {"opt-6.7b-coco", 986543616, 105162240, 6658473984 + 131072, MODEL_OPT},
        {"flan-t5-xl", 985952256, 105162240, 2849757184, MODEL_T5},
        {"flan-t5-xl-coco", 986543616, 105162240, 2849757184, MODEL_T5},
        {"flan-t5-xxl", 985952256, 105162240, 11135332352, MODEL_T5},
        {"flan-t5-xl-vit-l", 0, 101623296, 2849757184, MODEL_T5},
        {"itm-vit-g", 985952256, 105162240, 0, MODEL_MATCHING},
        {"itm-vit-g-coco", 986543616, 105162240, 0, MODEL_MATCHING},
    };
    for (size_t i = 0; i < sizeof V / sizeof V[0]; i++) {
        ModelConfig c;
        Error e = {0};
        assert_true(zoo_config(&c, V[i].name, &e));
        assert_int_equal(c.kind, V[i].kind);
        if (V[i].vision)
            assert_int_equal(vision_parameters(&c.vit), V[i].vision);
        assert_int_equal(qformer_parameters(&c.qformer), V[i].qformer);
        if (V[i].language)
            assert_int_equal(c.kind == MODEL_T5 ? t5_parameters(&c.t5) : opt_parameters(&c.opt),
                             V[i].language);
        assert_int_equal(c.pixels, c.vit.image);
        assert_string_equal(c.prompt,
                            c.vit.image == 364 && c.kind != MODEL_MATCHING ? "a photo of" : "");
    }
}

static void zoo_ids(void **state)
{
    ModelConfig c;
    Error e = {0};
    assert_true(zoo_config(&c, "opt-6.7b", &e));
    assert_int_equal(c.opt.vocab, 50304);
    assert_int_equal(c.opt.positions, 2048);
    assert_int_equal(c.image_token, 50265);
    assert_int_equal(c.gen.eos[0], 50118);
    assert_int_equal(c.gen.n_eos, 1);
    assert_int_equal(c.bos, 2);
    assert_int_equal(c.pad, 1);
    assert_false(c.legacy_layout);
}

static void zoo_names(void **state)
{
    static const char *const SPELLINGS[] = {"opt-2.7b", "blip2-opt-2.7b",
                                            "Salesforce/blip2-opt-2.7b",
                                            "blip2_opt/pretrain_opt2.7b", "pretrain_opt2.7b"};
    ModelConfig c;
    Error e = {0};
    for (int i = 0; i < 5; i++) {
        assert_true(zoo_config(&c, SPELLINGS[i], &e));
        assert_int_equal(c.opt.width, 2560);
        assert_int_equal(c.pixels, 224);
    }
    assert_true(zoo_config(&c, "blip2_opt/caption_coco_opt6.7b", &e));
    assert_int_equal(c.opt.width, 4096);
    assert_int_equal(c.pixels, 364);
    int n = 0;
    for (; zoo_name(n); n++)
        assert_true(zoo_config(&c, zoo_name(n), &e));
    assert_int_equal(n, 11);
    assert_false(zoo_config(&c, "opt-3b", &e));
    check_error(&e, ERR_NO_MODEL, "opt-3b: model: expected one of opt-2.7b, opt-6.7b", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(tiny_opt),
        cmocka_unit_test(embedded),
        cmocka_unit_test(kinds),
        cmocka_unit_test(ids),
        cmocka_unit_test(generation),
        cmocka_unit_test(pictures),
        cmocka_unit_test(licence_is_a_label),
        cmocka_unit_test(refuses_models),
        cmocka_unit_test(refuses_generation),
        cmocka_unit_test(faults_of_generation),
        cmocka_unit_test(disagreements),
        cmocka_unit_test(nested_processor_replaces),
        cmocka_unit_test(refuses_pictures),
        cmocka_unit_test(refuses_deep_nesting),
        cmocka_unit_test(directories),
        cmocka_unit_test(licences),
        cmocka_unit_test(survives_lack_of_memory),
        cmocka_unit_test(zoo_sizes),
        cmocka_unit_test(zoo_ids),
        cmocka_unit_test(zoo_names),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
