/* Directories of weights, and how a model's name becomes a directory. */
#include "test_torch_files.h"

#include "ckpt/hub.h"

#define ONE(name, begin, end) \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[" begin "," end "]}"

static const char INDEX[] = "model.safetensors.index.json";

static int empty_scratch(void **state)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'/*", scratch);
    return system(command);
}

/* Shard 1 holds a, c; shard 2 holds b and a tensor "extra" that the index does not name. */
static void put_shards(const char *index)
{
    put_text(INDEX, index);
    put_safetensors("s1.safetensors", "{" ONE("c", "0", "2") "," ONE("a", "2", "4") "}", 4);
    put_safetensors("s2.safetensors", "{" ONE("b", "0", "2") "," ONE("extra", "2", "4") "}", 4);
}

static const char GOOD[] =
    "{\"metadata\":{\"total_size\":6},\"weight_map\":{\"a\":\"s1.safetensors\","
    "\"b\":\"s2.safetensors\",\"c\":\"s1.safetensors\"}}";

static void refused(ErrorCode code, const char *says, const char *also)
{
    Error e = {0};
    size_t before = mem_in_use();
    assert_null(ckpt_open(scratch, &e));
    check_error(&e, code, scratch, says, also, NULL);
    assert_int_equal(mem_in_use(), before);
}

/* --- one file ----------------------------------------------------------------------------------- */

static void embedded_model(void **state)
{
    Error e = {0};
    Checkpoint *c = ckpt_open(SOURCE_DIR "/models/scenes", &e);
    assert_non_null(c);
    assert_int_equal(ckpt_count(c), 235);
    CkptTensor *t = ckpt_find(c, "vision_model.post_layernorm.weight");
    assert_non_null(t);
    assert_int_equal(t->dtype, BF16);
    assert_int_equal(t->shape[0], 192);
    assert_memory_equal(t->data, "\x93\x3f\x82\x3f", 4);
    ckpt_close(c);
}

static void nothing_there(void **state)
{
    Error e = {0};
    refused(ERR_NO_MODEL, "weights: expected model.safetensors", "got none");
    assert_null(ckpt_open(at("absent"), &e));
    check_error(&e, ERR_NO_MODEL, "absent: model: expected a directory, got nothing", NULL);
    put_text("file", "x");
    e = (Error){0};
    assert_null(ckpt_open(at("file"), &e));
    check_error(&e, ERR_NO_MODEL, "file: model: expected a directory, got something else", NULL);
}

/* The weights in the scratch directory, which have so many tensors. */
static Checkpoint *opened(size_t tensors)
{
    Error e = {0};
    Checkpoint *c = ckpt_open(scratch, &e);
    if (!c)
        fail_msg("%s", e.message);
    assert_int_equal(ckpt_count(c), tensors);
    return c;
}

/* The tensors of models/scenes as pytorch_model.bin, and in three shards: the same, byte for byte. */
static void torch_weights(void **state)
{
    Error e = {0};
    StrBuf index = {0};
    char name[64];
    Checkpoint *want = ckpt_open(SOURCE_DIR "/models/scenes", &e);
    assert_non_null(want);
    size_t n = ckpt_count(want);
    for (int sharded = 0; sharded < 2; sharded++) {
        empty_scratch(state);
        strbuf_puts(&index, "{\"metadata\":{},\"weight_map\":{");
        for (size_t i = 0; i < n; i++)
            strbuf_printf(&index, "%s\"%s\":\"pytorch_model-0000%zu-of-00003.bin\"", i ? "," : "",
                          ckpt_at(want, i)->name, i % 3 + 1);
        strbuf_puts(&index, "}}");
        for (size_t s = 0; sharded && s < 3; s++) {
            snprintf(name, sizeof name, "pytorch_model-0000%zu-of-00003.bin", s + 1);
            put_torch(name, want, s, 3);
        }
        if (sharded)
            put_text("pytorch_model.bin.index.json", index.data);
        else
            put_torch("pytorch_model.bin", want, 0, 1);
        Checkpoint *c = opened(n);
        for (size_t i = 0; i < n; i++) {
            const CkptTensor *a = ckpt_at(c, i), *b = ckpt_at(want, i);
            assert_string_equal(a->name, b->name);
            assert_true(a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes);
            assert_memory_equal(a->shape, b->shape, sizeof a->shape);
            assert_memory_equal(a->data, b->data, a->bytes);
            assert_false(a->copied);
        }
        ckpt_close(c);
        strbuf_free(&index);
    }
    ckpt_close(want);
}

/* safetensors before .bin, one file before shards. */
static void which_weights_count(void **state)
{
    Error e = {0};
    Checkpoint *want = ckpt_open(SOURCE_DIR "/models/scenes", &e);
    assert_non_null(want);
    put_text("pytorch_model.bin.index.json", "{}");
    refused(ERR_BAD_MODEL, "pytorch_model.bin.index.json: weight_map: expected an object", "");
    put_torch("pytorch_model.bin", want, 0, 100);
    ckpt_close(opened(3));
    put_text("pytorch_model.bin", "<html>");
    refused(ERR_BAD_MODEL, "pytorch_model.bin: file: expected safetensors or PyTorch weights",
            "got an HTML page");
    put_shards(GOOD);
    ckpt_close(opened(4));
    put_safetensors("model.safetensors", "{" ONE("a", "0", "2") "}", 2);
    ckpt_close(opened(1));
    ckpt_close(want);
}

/* What can be read, but is no model as it lies there, is named with what to do. */
static void torch_weights_alone(void **state)
{
    put_text("blip2_pretrained.pth", "PK");
    refused(ERR_BAD_MODEL, "blip2_pretrained.pth: weights: expected a config.json beside them",
            "or one .pth file of LAVIS");
    put_text("config.json", "{}");
    refused(ERR_BAD_MODEL,
            "blip2_pretrained.pth: weights: expected the name model.safetensors or "
            "pytorch_model.bin",
            "rename it");
    put_text("model.gguf", "GGUF");
    refused(ERR_BAD_MODEL, "model.gguf: weights: GGUF files", "expected a Hugging Face directory");
}

static void a_directory_for_a_file(void **state)
{
    assert_int_equal(mkdir(at("model.safetensors"), 0755), 0);
    refused(ERR_BAD_MODEL, "model.safetensors: ", "a directory");
}

/* --- shards ------------------------------------------------------------------------------------- */

static void shards(void **state)
{
    Error e = {0};
    put_shards(GOOD);
    Checkpoint *c = ckpt_open(scratch, &e);
    if (!c)
        fail_msg("%s", e.message);
    static const char *const NAMES[] = {"a", "b", "c", "extra"};
    assert_int_equal(ckpt_count(c), 4); /* "extra" stays, for the loader to report */
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(ckpt_at(c, i)->name, NAMES[i]);
    assert_string_equal(ckpt_find(c, "a")->file, at("s1.safetensors"));
    assert_memory_equal(ckpt_find(c, "a")->data, "\x02\x03", 2);
    assert_string_equal(ckpt_find(c, "b")->file, at("s2.safetensors"));
    ckpt_close(c);
}

static void the_index_chooses_between_copies(void **state)
{
    static const char *const FILES[] = {"s1.safetensors", "s2.safetensors"};
    for (int i = 0; i < 2; i++) {
        char index[300];
        snprintf(
            index, sizeof index,
            "{\"weight_map\":{\"a\":\"%s\",\"c\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}}",
            FILES[i]);
        put_shards(index);
        put_safetensors("s2.safetensors", "{" ONE("b", "0", "2") "," ONE("a", "2", "4") "}", 4);
        Error e = {0};
        Checkpoint *c = ckpt_open(scratch, &e);
        assert_non_null(c);
        assert_int_equal(ckpt_count(c), 3);
        assert_string_equal(ckpt_find(c, "a")->file, at(FILES[i]));
        ckpt_close(c);
    }
}

static void broken_shards(void **state)
{
    put_shards(GOOD);
    assert_int_equal(unlink(at("s2.safetensors")), 0);
    refused(ERR_BAD_MODEL, INDEX, "shard \"s2.safetensors\": no such file");

    put_shards(GOOD);
    assert_int_equal(truncate(at("s2.safetensors"), 20), 0);
    refused(ERR_BAD_MODEL, "s2.safetensors: header: expected a file of at least", "got 20");

    put_shards(GOOD);
    struct stat st;
    assert_int_equal(stat(at("s1.safetensors"), &st), 0);
    assert_int_equal(truncate(at("s1.safetensors"), st.st_size - 1), 0);
    char sizes[100];
    snprintf(sizes, sizeof sizes, "expected a file of %ld bytes, got %ld", (long)st.st_size,
             (long)st.st_size - 1);
    refused(ERR_BAD_MODEL, "s1.safetensors: tensor \"a\": data_offsets [2, 4]: beyond", sizes);

    put_shards("{\"weight_map\":{\"a\":\"s2.safetensors\"}}");
    refused(ERR_BAD_MODEL, "s2.safetensors: tensor \"a\": not in the file", INDEX);
}

static void broken_indexes(void **state)
{
    static const struct {
        const char *index, *says;
    } BAD[] = {
        {"", "expected JSON, got an empty file"},
        {"{\"weight_map\":", "bad JSON"},
        {"[]", "weight_map: expected an object, got nothing"},
        {"{}", "weight_map: expected an object, got nothing"},
        {"{\"weight_map\":[\"a\"]}", "weight_map: expected an object, got something else"},
        {"{\"weight_map\":{}}", "weight_map: expected 1 to 1000 files, got 0"},
        {"{\"weight_map\":{\"a\":1}}", "weight_map: \"a\": expected a plain name"},
        {"{\"weight_map\":{\"a\":\"\"}}", "weight_map: \"a\": expected a plain name"},
        {"{\"weight_map\":{\"a\":\"../s1.safetensors\"}}", "got \"../s1.safetensors\""},
        {"{\"weight_map\":{\"a\":\"..safetensors\"}}", "expected a plain name"},
        {"{\"weight_map\":{\"a\":\"/etc/x.safetensors\"}}", "got \"/etc/x.safetensors\""},
        {"{\"weight_map\":{\"a\":\"d\\\\x.safetensors\"}}", "expected a plain name"},
        {"{\"weight_map\":{\"a\":\"x.safetensors\\u0000\"}}", "expected a plain name"},
        {"{\"weight_map\":{\"a\":\"x\\n.safetensors\"}}", "expected a plain name"},
        {"{\"weight_map\":{\"a\":\"model.gguf\"}}", "got \"model.gguf\""},
        {"{\"weight_map\":{\"a\":\"s1.safetensors\",\"a\":\"s1.safetensors\"}}", "duplicate"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        put_shards(BAD[i].index);
        refused(ERR_BAD_MODEL, INDEX, BAD[i].says);
    }
}

static void survives_lack_of_memory(void **state)
{
    size_t before = mem_in_use();
    bool opened = false;
    put_shards(GOOD);
    for (long n = 1; !opened; n++) {
        Error e = {0};
        mem_fail_at(n);
        Checkpoint *c = ckpt_open(scratch, &e);
        opened = !mem_fail_hit();
        mem_fail_at(0);
        if (!opened)
            check_error(&e, ERR_MEMORY, "out of memory", NULL);
        assert_int_equal(c != NULL, opened);
        ckpt_close(c);
        assert_int_equal(mem_in_use(), before);
        assert_true(n < 1000);
    }
}

/* --- names -------------------------------------------------------------------------------------- */

static void finds(const char *name, const char *want)
{
    Error e = {0};
    char *got = model_find(name, &e);
    if (!got)
        fail_msg("%s", e.message);
    assert_string_equal(got, want);
    mem_free(got);
}

static void finds_not(const char *name, const char *says, const char *also)
{
    Error e = {0};
    assert_null(model_find(name, &e));
    check_error(&e, ERR_NO_MODEL, name, says, also, NULL);
}

static int no_models(void **state)
{
    setenv("HF_HUB_CACHE", at("nothing"), 1);
    unsetenv("BLIP2_MODELS");
    return empty_scratch(state);
}

static void finds_the_default(void **state)
{
    finds(NULL, SOURCE_DIR "/models/scenes");
    finds("scenes", SOURCE_DIR "/models/scenes");
    finds(scratch, scratch);
    finds_not("scene", "expected a directory or a known name (scenes, ", "did you mean scenes?");
    finds_not("no/such/thing", "expected a directory or a known name", "got neither");
    finds_not("../no-such-models", "expected a directory or a known name", "got neither");
    finds_not("opt2.7b", "expected a directory or a known name", "did you mean opt-2.7b?");
    put_text("file", "x");
    finds_not(at("file"), "expected a directory, got a file", NULL);
}

static void finds_in_blip2_models(void **state)
{
    char list[600];
    assert_int_equal(mkdir(at("m1"), 0755) | mkdir(at("m2"), 0755), 0);
    assert_int_equal(mkdir(at("m2/mine"), 0755) | mkdir(at("m1/blip2-opt-2.7b"), 0755), 0);
    snprintf(list, sizeof list, ":%s::%s", at("m1"), at("m2"));
    setenv("BLIP2_MODELS", list, 1);
    finds("mine", at("m2/mine"));
    finds("opt-2.7b", at("m1/blip2-opt-2.7b"));
    finds("blip2_opt/pretrain_opt2.7b", at("m1/blip2-opt-2.7b"));
    assert_int_equal(mkdir(at("m2/scenes"), 0755), 0);
    finds(NULL, at("m2/scenes"));
}

static void published_models(void **state)
{
    static const char *const SPELLINGS[] = {"opt-2.7b", "blip2-opt-2.7b",
                                            "Salesforce/blip2-opt-2.7b",
                                            "blip2_opt/pretrain_opt2.7b", "pretrain_opt2.7b"};
    for (int i = 0; i < 5; i++)
        finds_not(SPELLINGS[i], "not on this machine", "blip2 pull opt-2.7b fetches it");
    finds_not("blip2_t5/pretrain_flant5xxl", "blip2 pull flan-t5-xxl ", NULL);
    finds_not("blip2/coco", "blip2 pull itm-vit-g-coco ", NULL);
    finds_not("blip2/pretrain_vitL", "blip2 pull itm-vit-l ", NULL);
    finds_not("owner/name", "blip2 pull owner/name ", NULL);
}

static void hugging_face_cache(void **state)
{
    static const char REPO[] = "models--Salesforce--blip2-opt-2.7b";
    char path[200];
    const char *const dirs[] = {"", "/refs", "/snapshots", "/snapshots/abc123"};
    setenv("HF_HUB_CACHE", scratch, 1);
    for (int i = 0; i < 4; i++) {
        finds_not("opt-2.7b", "not on this machine", NULL);
        snprintf(path, sizeof path, "%s%s", REPO, dirs[i]);
        assert_int_equal(mkdir(at(path), 0755), 0);
    }
    snprintf(path, sizeof path, "%s/refs/main", REPO);
    put_text(path, "../snapshots/abc123");
    finds_not("opt-2.7b", "not on this machine", NULL);
    put_text(path, "");
    finds_not("opt-2.7b", "not on this machine", NULL);
    put_text(path, "abc123\n");
    snprintf(path, sizeof path, "%s/snapshots/abc123", REPO);
    finds("opt-2.7b", at(path));
    finds("Salesforce/blip2-opt-2.7b", at(path));
    unsetenv("HF_HUB_CACHE");
    setenv("HF_HOME", scratch, 1);
    finds_not("opt-2.7b", "not on this machine", NULL);
    assert_int_equal(mkdir(at("hub"), 0755), 0);
    char to[300];
    snprintf(to, sizeof to, "hub/%s", REPO);
    assert_int_equal(rename(at(REPO), at(to)), 0);
    snprintf(path, sizeof path, "hub/%s/snapshots/abc123", REPO);
    finds("opt-2.7b", at(path));
    unsetenv("HF_HOME");
}

static void find_survives_lack_of_memory(void **state)
{
    size_t before = mem_in_use();
    bool found = false;
    for (long n = 1; !found; n++) {
        Error e = {0};
        mem_fail_at(n);
        char *path = model_find(NULL, &e);
        found = !mem_fail_hit();
        mem_fail_at(0);
        if (!found)
            check_error(&e, ERR_MEMORY, "scenes", NULL);
        assert_int_equal(path != NULL, found);
        mem_free(path);
        assert_int_equal(mem_in_use(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(embedded_model, empty_scratch),
        cmocka_unit_test_setup(nothing_there, empty_scratch),
        cmocka_unit_test_setup(torch_weights, empty_scratch),
        cmocka_unit_test_setup(which_weights_count, empty_scratch),
        cmocka_unit_test_setup(torch_weights_alone, empty_scratch),
        cmocka_unit_test_setup(a_directory_for_a_file, empty_scratch),
        cmocka_unit_test_setup(shards, empty_scratch),
        cmocka_unit_test_setup(the_index_chooses_between_copies, empty_scratch),
        cmocka_unit_test_setup(broken_shards, empty_scratch),
        cmocka_unit_test_setup(broken_indexes, empty_scratch),
        cmocka_unit_test_setup(survives_lack_of_memory, empty_scratch),
        cmocka_unit_test_setup(finds_the_default, no_models),
        cmocka_unit_test_setup(finds_in_blip2_models, no_models),
        cmocka_unit_test_setup(published_models, no_models),
        cmocka_unit_test_setup(hugging_face_cache, no_models),
        cmocka_unit_test_setup(find_survives_lack_of_memory, no_models),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
