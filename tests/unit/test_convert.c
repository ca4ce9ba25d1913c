/* A model as files of another kind, and back: the same weights to the last bit; what would be lost, or is left
 * half, is an error and no file. */
#include "test_lavis.h"

#include <dirent.h>

#include "ckpt/packed.h"
#include "models/convert.h"

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
    snprintf(command, sizeof command, "rm -rf '%s'/*", scratch);
    return system(command);
}

static bool convert_with(const char *from, const char *to, const ConvertOptions *o,
                         const SourceHints *hints, Error *e)
{
    ModelSource s = {0};
    bool ok = source_find(&s, from, hints, e) && model_convert(&s, to, o, e);
    source_free(&s);
    return ok;
}

static void convert(const char *from, const char *to, ConvertTo kind)
{
    Error e = {0};
    if (!convert_with(from, to, &(ConvertOptions){.to = kind}, NULL, &e))
        fail_msg("%s", e.message);
}

static void fails(const char *from, const char *to, ConvertTo kind, ErrorCode code,
                  const char *says)
{
    Error e = {0};
    size_t before = mem_in_use();
    assert_false(convert_with(from, to, &(ConvertOptions){.to = kind}, NULL, &e));
    assert_int_equal(e.code, code);
    if (!strstr(e.message, says))
        fail_msg("expected \"%s\" in: %s", says, e.message);
    assert_int_equal(mem_in_use(), before);
}

static Blip2 *load(const char *path, Error *e)
{
    ModelSource s = {0};
    Blip2 *m = source_find(&s, path, NULL, e) ? model_load(dev, &s, PRESET_NONE, e) : NULL;
    source_free(&s);
    return m;
}

static void is_golden(const char *path)
{
    Error e = {0};
    Blip2 *want = model_open(dev, GOLDEN, PRESET_NONE, &e), *got = load(path, &e);
    if (!got)
        fail_msg("%s", e.message);
    same_models(want, got);
    /* what the files beside the weights say */
    assert_memory_equal(&want->config.gen, &got->config.gen, sizeof want->config.gen);
    assert_int_equal(want->config.pixels, got->config.pixels);
    assert_int_equal(want->config.legacy_layout, got->config.legacy_layout);
    assert_string_equal(got->notes.text, "");
    model_close(want);
    model_close(got);
}

static void same_bytes(const char *a, const char *b)
{
    Error e = {0};
    MappedFile x, y;
    assert_true(file_map(&x, a, ERR_FAILED, &e) && file_map(&y, b, ERR_FAILED, &e));
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    file_unmap(&x);
    file_unmap(&y);
}

/* There and back on every way; a second time the bytes are the same. */
static void round_trips(void **state)
{
    convert(GOLDEN, at("packed"), CONVERT_PACKED);
    is_golden(at("packed"));
    convert(at("packed"), at("lavis"), CONVERT_LAVIS);
    is_golden(at("lavis"));
    convert(at("lavis"), at("hf"), CONVERT_HF);
    is_golden(at("hf"));
    convert(at("hf"), at("again"), CONVERT_PACKED);
    same_bytes(at("packed"), at("again"));
    convert(at("again"), at("again"), CONVERT_PACKED); /* onto itself, which is mapped */
    same_bytes(at("packed"), at("again"));
    convert(at("again"), at("lavis2"), CONVERT_LAVIS);
    same_bytes(at("lavis"), at("lavis2"));
}

/* Flan-T5, a matching model as transformers has it, and one with LAVIS' heads. */
static void other_kinds(void **state)
{
    static const char *const DIRS[] = {"t5", "itm", "caption"};
    for (size_t i = 0; i < 3; i++) {
        Error e = {0};
        char from[512];
        snprintf(from, sizeof from, SOURCE_DIR "/tests/golden/%s", DIRS[i]);
        clean(state);
        convert(from, at("packed"), CONVERT_PACKED);
        convert(at("packed"), at("lavis"), CONVERT_LAVIS);
        convert(at("lavis"), at("hf"), CONVERT_HF);
        Blip2 *want = load(from, &e),
              *got[] = {load(at("packed"), &e), load(at("lavis"), &e), load(at("hf"), &e)};
        for (int k = 0; k < 3; k++) {
            if (!want || !got[k])
                fail_msg("%s", e.message);
            same_models(want, got[k]);
            model_close(got[k]);
        }
        model_close(want);
    }
}

/* LAVIS' names and no others; nothing of HF's three in one. */
static void lavis_names(void **state)
{
    Error e = {0};
    char name[100];
    convert(GOLDEN, at("lavis"), CONVERT_LAVIS);
    Checkpoint *c = ckpt_open_file(at("lavis"), &e);
    assert_non_null(c);
    assert_int_equal(ckpt_count(c), ckpt_count(golden) + 3); /* q_bias and v_bias for qkv.bias */
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "visual_encoder.blocks.%d.attn.v_bias", i);
        assert_non_null(ckpt_find(c, name));
        const CkptTensor *v = ckpt_find(c, name);
        snprintf(name, sizeof name, "vision_model.encoder.layers.%d.self_attn.qkv.bias", i);
        const CkptTensor *qkv = ckpt_find(golden, name);
        assert_true(v->rank == 1 && v->shape[0] == 48);
        assert_memory_equal(v->data, (const char *)qkv->data + qkv->bytes / 3 * 2, v->bytes);
    }
    assert_non_null(ckpt_find(c, "Qformer.bert.encoder.layer.0.crossattention.self.key.weight"));
    assert_non_null(ckpt_find(c, "opt_model.model.decoder.layers.2.fc1.bias"));
    assert_non_null(ckpt_find(c, "opt_proj.bias"));
    assert_non_null(ckpt_find(c, "ln_vision.weight"));
    ckpt_close(c);
}

/* The header is what safetensors asks for: the buffer aligned, large elements first. */
static void aligned(void **state)
{
    Error e = {0};
    MappedFile f;
    uint64_t n = 0;
    convert(SOURCE_DIR "/models/scenes", at("packed"), CONVERT_PACKED);
    assert_true(file_map(&f, at("packed"), ERR_FAILED, &e));
    for (int i = 7; i >= 0; i--)
        n = n << 8 | f.data[i];
    assert_int_equal((8 + n) % 64, 0);
    file_unmap(&f);
    Checkpoint *c = ckpt_open_file(at("packed"), &e);
    for (size_t i = 0; i < ckpt_count(c); i++)
        assert_int_equal((uintptr_t)ckpt_at(c, i)->data % dtype_size(ckpt_at(c, i)->dtype), 0);
    ckpt_close(c);
}

/* From LAVIS' pieces, of which the base tower's 4th block and norm are left by rule. */
static void from_pieces(void **state)
{
    Error e = {0};
    char llm[300], to[300], from[300];
    put_configs("");
    copy_file(LAVIS "/stage2.pth", "model.pth");
    put_eva("eva_vit_g.pth");
    put_language("llm", true);
    snprintf(llm, sizeof llm, "%s", at("llm"));
    snprintf(from, sizeof from, "%s", at("model.pth"));
    for (int kind = CONVERT_HF; kind <= CONVERT_PACKED; kind++) {
        snprintf(to, sizeof to, "%s/to%d", scratch, kind);
        if (!convert_with(from, to, &(ConvertOptions){.to = (ConvertTo)kind},
                          &(SourceHints){.language = llm}, &e))
            fail_msg("%s", e.message);
        is_golden(to);
    }
}

/* --- what would be lost ------------------------------------------------------------------------------ */

/* The golden model's tensors, but for one, and one more. */
static void put_variant(const char *drop, const CkptTensor *more, const char *as)
{
    Error e = {0};
    Checkpoint *c = ckpt_new("c", &e);
    for (size_t i = 0; i < ckpt_count(golden); i++)
        if (!drop || strcmp(ckpt_at(golden, i)->name, drop) != 0)
            add_tensor(c, ckpt_at(golden, i), ckpt_at(golden, i)->name);
    if (more)
        add_tensor(c, more, as);
    put_configs("");
    put_torch("pytorch_model.bin", c, 0, 1);
    ckpt_close(c);
}

static void nothing_is_lost(void **state)
{
    static const char *const LEFT[] = {"qformer.embeddings.position_ids",
                                       "language_model.encoder.embed_tokens.weight",
                                       "Qformer.cls.predictions.decoder.bias"};
    const CkptTensor *any = ckpt_find(golden, "language_projection.bias");
    put_variant(NULL, any, "temp");
    for (int kind = CONVERT_HF; kind <= CONVERT_PACKED; kind++)
        fails(scratch, at("to"), (ConvertTo)kind, ERR_BAD_MODEL,
              "/pytorch_model.bin: tensor \"temp\": expected a place in the model, got none: it "
              "would be lost");
    put_variant(any->name, NULL, NULL);
    fails(scratch, at("to"), CONVERT_HF, ERR_BAD_MODEL,
          "tensor \"language_projection.bias\": expected, but missing");
    for (size_t i = 0; i < sizeof LEFT / sizeof *LEFT; i++) {
        put_variant(NULL, any, LEFT[i]);
        convert(scratch, at("to"), CONVERT_PACKED);
        is_golden(at("to"));
    }
    /* a bias of the keys, for which LAVIS has no place */
    static float bias[144];
    CkptTensor t = *ckpt_find(golden, "vision_model.encoder.layers.2.self_attn.qkv.bias");
    memcpy(bias, t.data, sizeof bias);
    bias[95] = 1e-30f;
    t.data = bias;
    put_variant(t.name, &t, t.name);
    fails(scratch, at("to2"), CONVERT_LAVIS, ERR_BAD_MODEL,
          "layers.2.self_attn.qkv.bias\": expected zeros for the keys");
    convert(scratch, at("to3"), CONVERT_PACKED);
    assert_false(file_exists(at("to2")));
}

/* --- what is left half --------------------------------------------------------------------------------- */

typedef struct Stop {
    uint64_t at, last, total;
} Stop;

static bool stop_at(void *user, uint64_t done, uint64_t total)
{
    Stop *s = user;
    assert_true(done >= s->last && done <= total);
    s->last = done;
    s->total = total;
    return done < s->at;
}

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(scratch);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void stops(void **state)
{
    for (int kind = CONVERT_HF; kind <= CONVERT_PACKED; kind++)
        for (uint64_t at_byte = 0; at_byte < 1000000; at_byte += 250000) {
            Error e = {0};
            Stop s = {.at = at_byte};
            ConvertOptions o = {(ConvertTo)kind, stop_at, &s, PRESET_NONE};
            assert_false(convert_with(GOLDEN, at("to"), &o, NULL, &e));
            assert_int_equal(e.code, ERR_STOPPED);
            assert_int_equal(entries(), 0);
        }
    Error e = {0};
    Stop s = {.at = UINT64_MAX};
    assert_true(convert_with(
        GOLDEN, at("to"), &(ConvertOptions){CONVERT_PACKED, stop_at, &s, PRESET_NONE}, NULL, &e));
    assert_int_equal(s.last, s.total);
    assert_int_equal(entries(), 1);
}

/* What a killed call leaves is no model, and in nobody's way. */
static void after_a_kill(void **state)
{
    mkdir(at("hf.partial"), 0777);
    put_text("hf.partial/model.safetensors.tmp.123.0", "half");
    put_text("hf.partial/vocab.json", "{}"); /* of another source */
    put_text("packed.tmp.123.0", "half");
    fails(at("hf.partial"), at("x"), CONVERT_PACKED, ERR_NO_MODEL, "config.json: expected");
    convert(GOLDEN, at("hf"), CONVERT_HF);
    is_golden(at("hf"));
    assert_false(file_exists(at("hf/vocab.json")));
    assert_false(file_exists(at("hf.partial")));
    convert(GOLDEN, at("packed"), CONVERT_PACKED);
    is_golden(at("packed"));
}

static void targets(void **state)
{
    mkdir(at("full"), 0777);
    put_text("full/a", "x");
    mkdir(at("empty"), 0777);
    put_text("file", "x");
    fails(GOLDEN, at("full"), CONVERT_HF, ERR_USAGE, "/full: expected a new or an empty directory");
    fails(GOLDEN, at("file"), CONVERT_HF, ERR_USAGE, "/file: expected a new or an empty directory");
    fails(GOLDEN, at("empty"), CONVERT_PACKED, ERR_USAGE, "/empty: expected the name of a file");
    fails(GOLDEN, at("none/packed"), CONVERT_PACKED, ERR_FAILED, "No such file");
    fails(GOLDEN, at("none/hf"), CONVERT_HF, ERR_FAILED, "No such file");
    convert(GOLDEN, at("empty"), CONVERT_HF);
    is_golden(at("empty"));
    char slash[300];
    snprintf(slash, sizeof slash, "%s/", at("new"));
    convert(GOLDEN, slash, CONVERT_HF);
    is_golden(at("new"));
    convert(GOLDEN, at("file"), CONVERT_PACKED); /* replaced */
    is_golden(at("file"));
}

static void survives_lack_of_memory(void **state)
{
    size_t before = mem_in_use();
    char to[300];
    snprintf(to, sizeof to, "%s", at("to"));
    for (int kind = CONVERT_HF; kind <= CONVERT_LAVIS; kind++) {
        bool done = false;
        for (long n = 1; !done; n += 1 + n / 50) {
            Error e = {0};
            clean(NULL);
            mem_fail_at(n);
            bool ok = convert_with(GOLDEN, to, &(ConvertOptions){.to = (ConvertTo)kind}, NULL, &e);
            done = !mem_fail_hit();
            mem_fail_at(0);
            assert_true(ok || !done); /* finding may do without: then all is there */
            assert_int_equal(e.code, ok ? ERR_NONE : ERR_MEMORY);
            assert_int_equal(mem_in_use(), before);
            assert_int_equal(entries(), ok);
        }
    }
}

/* --- packed files of strangers -------------------------------------------------------------------------- */

static void put_header(const char *metadata)
{
    StrBuf s = {0};
    strbuf_printf(&s,
                  "{\"__metadata__\":{%s},\"query_tokens\":{\"dtype\":\"F32\",\"shape\":[0],"
                  "\"data_offsets\":[0,0]}}",
                  metadata);
    uint64_t n = s.len;
    StrBuf all = {0};
    strbuf_add(&all, &n, 8);
    strbuf_add(&all, s.data, s.len);
    put("p.safetensors", all.data, all.len);
    strbuf_free(&s);
    strbuf_free(&all);
}

static void opens_not(const char *metadata, const char *says)
{
    Error e = {0};
    ModelSource s = {0};
    size_t before = mem_in_use();
    put_header(metadata);
    assert_false(source_find(&s, at("p.safetensors"), NULL, &e));
    assert_int_equal(e.code, ERR_BAD_MODEL);
    if (!strstr(e.message, says))
        fail_msg("expected \"%s\" in: %s", says, e.message);
    source_free(&s);
    assert_int_equal(mem_in_use(), before);
}

static void formats(void **state)
{
    static const char CONFIG[] = "\"blip2.file.config.json\":\"{}\"";
    char text[300];
    opens_not(
        "\"blip2.format\":\"2\",\"blip2.file.config.json\":\"{}\"",
        "p.safetensors: header: blip2.format: expected 1, got \"2\": a packed model of another "
        "version of the program: convert the model again");
    opens_not("\"blip2.format\":\"\"", "expected 1, got \"\"");
    opens_not("\"blip2.format\":\"1\"", "header: blip2.file.config.json: expected, but missing");
    snprintf(text, sizeof text, "\"blip2.format\":\"1\",%s,\"blip2.layout.a.b\":\"panel\"", CONFIG);
    opens_not(
        text,
        "tensor \"a.b\": layout: expected \"panel32 [OUT,IN]\", or that of int4, got \"panel\"");
    static const char *const LAYOUTS[][2] = {
        {"a.b", "panel32 [4,5]"}, /* no such tensor */
        {"query_tokens", "panel32 [4,5]"},
        {"query_tokens", "panel32 [2147483647,2147483647,2147483647,2147483647]"},
        {"query_tokens", "panel32 [4]"},
        {"query_tokens", "panel32 [0,5]"},
        {"query_tokens", "panel32 [4,-5]"},
        {"query_tokens", "panel32 [4,5"},
        {"query_tokens", "panel32 [4,5]]"},
        {"query_tokens", "panel32 [4,]"},
        {"query_tokens", "panel32 [1,1,1,1,1,1,1,1,1]"},
        {"query_tokens", "panel32 [99999999999999999999,1]"},
        {"query_tokens", "panel64 [4,5]"},
        {"query_tokens", ""}};
    static const char *const SAYS[2] = {
        "\": layout: expected one that the tensor's size fits, got",
        "\": layout: expected \"panel32 [OUT,IN]\", or that of int4, got"};
    for (size_t i = 0; i < sizeof LAYOUTS / sizeof *LAYOUTS; i++) {
        snprintf(text, sizeof text, "\"blip2.format\":\"1\",%s,\"blip2.layout.%s\":\"%s\"", CONFIG,
                 LAYOUTS[i][0], LAYOUTS[i][1]);
        opens_not(text, i == 0 ? "expected a tensor of that name" : SAYS[i > 2]);
    }
    opens_not("\"blip2.format\":\"1\",\"blip2.format\":\"1\"", "__metadata__: duplicate key");
    opens_not("\"blip2.format\":\"1\",\"blip2.base64.x\":\"abc\"",
              "blip2.base64.x: expected base64");
    opens_not("\"blip2.format\":\"1\",\"blip2.base64.x\":\"ab=c\"",
              "blip2.base64.x: expected base64");
    opens_not("\"blip2.format\":\"1\",\"blip2.base64.x\":\"a===\"",
              "blip2.base64.x: expected base64");
    opens_not("\"blip2.format\":\"1\",\"blip2.file.a\":\"\\u0000\"", "no U+0000 in a string");
    opens_not("\"blip2.format\":1", "expected a string");
}

/* RFC 4648, 10, and what the file says of itself. */
static void texts(void **state)
{
    static const char *const V[][2] = {{"", ""},
                                       {"Zg==", "f"},
                                       {"Zm8=", "fo"},
                                       {"Zm9v", "foo"},
                                       {"Zm9vYg==", "foob"},
                                       {"Zm9vYmE=", "fooba"},
                                       {"Zm9vYmFy", "foobar"}};
    for (size_t i = 0; i < sizeof V / sizeof *V; i++) {
        Error e = {0};
        ModelSource s = {0};
        char text[300];
        size_t n;
        snprintf(
            text, sizeof text,
            "\"blip2.format\":\"1\",\"other\":\"x\",\"blip2.base64.b\":\"%s\",\"blip2.file.config."
            "json\":\"a\\\"\\u00e9\\n\"",
            V[i][0]);
        put_header(text);
        if (!source_find(&s, at("p.safetensors"), NULL, &e))
            fail_msg("%s", e.message);
        char *b = folder_read(&s.config, "b", 100, &n, ERR_FAILED, &e);
        assert_int_equal(n, strlen(V[i][1]));
        assert_string_equal(b, V[i][1]);
        mem_free(b);
        b = folder_read(&s.tokenizer, "config.json", 100, &n, ERR_FAILED, &e);
        assert_string_equal(b, "a\"\xc3\xa9\n");
        mem_free(b);
        source_free(&s);
    }
}

/* Bytes that are no text, and texts with everything that JSON escapes, through a packed file. */
static void files_survive(void **state)
{
    static const char BYTES[] = "\0\xff\xfe spiece \x80",
                      TEXT[] = "---\nlicense: mit\n---\n\"\\\t\x01/\n";
    Error e = {0};
    size_t n;
    put_variant(NULL, NULL, NULL);
    put("merges.txt", BYTES, sizeof BYTES); /* which nothing reads without a vocab.json */
    put("README.md", TEXT, sizeof TEXT - 1);
    convert(scratch, at("packed"), CONVERT_PACKED);
    ModelSource s = {0};
    assert_true(source_find(&s, at("packed"), NULL, &e));
    char *b = folder_read(&s.tokenizer, "merges.txt", 100, &n, ERR_FAILED, &e);
    assert_int_equal(n, sizeof BYTES);
    assert_memory_equal(b, BYTES, n);
    mem_free(b);
    b = folder_read(&s.config, "README.md", 100, &n, ERR_FAILED, &e);
    assert_int_equal(n, sizeof TEXT - 1);
    assert_memory_equal(b, TEXT, n);
    mem_free(b);
    source_free(&s);
    convert(at("packed"), at("hf"), CONVERT_HF);
    same_bytes(at("hf/merges.txt"), at("merges.txt"));
    same_bytes(at("hf/README.md"), at("README.md"));
}

/* --- parts of different models ---------------------------------------------------------------------------- */

static void disagree(const char *name, int dim, int64_t extent, const char *says)
{
    static const char ZEROS[1 << 20];
    Error e = {0};
    CkptTensor t = *ckpt_find(golden, name);
    t.bytes = t.bytes / (size_t)t.shape[dim] * (size_t)extent;
    t.shape[dim] = extent;
    t.data = ZEROS;
    assert_true(t.bytes <= sizeof ZEROS);
    put_variant(name, &t, name);
    assert_null(load(scratch, &e));
    assert_int_equal(e.code, ERR_BAD_MODEL);
    if (!strstr(e.message, says))
        fail_msg("expected \"%s\" in: %s", says, e.message);
    fails(scratch, at("to"), CONVERT_PACKED, ERR_BAD_MODEL, says);
}

static void parts_disagree(void **state)
{
    disagree(
        "language_projection.weight", 0, 64,
        "pytorch_model.bin: tensor \"language_projection.weight\": expected shape [40,32], got "
        "[64,32]: two parts disagree on the width of the language model: the projection (");
    disagree("language_projection.weight", 0, 64,
             "pytorch_model.bin) has 64, the language model (");
    disagree("qformer.encoder.layer.0.crossattention.attention.key.weight", 1, 24,
             "disagree on the width of the vision tower: the Q-Former (");
    disagree("vision_model.embeddings.position_embedding", 1, 37,
             "has 37, image_size of config.json says 17");
    disagree("language_model.model.decoder.embed_tokens.weight", 0, 300,
             "disagree on the vocabulary: ");
    /* a shape that no two parts share */
    disagree("qformer.encoder.layer.1.intermediate_query.dense.weight", 0, 24,
             "expected shape [72,32], got [24,32]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(round_trips, clean),
        cmocka_unit_test_setup(other_kinds, clean),
        cmocka_unit_test_setup(lavis_names, clean),
        cmocka_unit_test_setup(aligned, clean),
        cmocka_unit_test_setup(from_pieces, clean),
        cmocka_unit_test_setup(nothing_is_lost, clean),
        cmocka_unit_test_setup(stops, clean),
        cmocka_unit_test_setup(after_a_kill, clean),
        cmocka_unit_test_setup(targets, clean),
        cmocka_unit_test_setup(survives_lack_of_memory, clean),
        cmocka_unit_test_setup(formats, clean),
        cmocka_unit_test_setup(texts, clean),
        cmocka_unit_test_setup(files_survive, clean),
        cmocka_unit_test_setup(parts_disagree, clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
