/* YAML configurations: what OmegaConf makes of the same texts (tests/data/settings, made by it), bounds, origins, layers,
 * keys, and every allocation failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "settings/keys.h"
#include "settings/merge.h"
#include "settings/options.h"
#include "settings/settings.h"
#include "settings/yaml.h"

/* --- libyaml's own memory ------------------------------------------------------------------------- */

/* In the place of the library's, which calls these by name. */
#define SEEN __attribute__((visibility("default")))
SEEN void *yaml_malloc(size_t n);
SEEN void *yaml_realloc(void *p, size_t n);

static long yaml_fail;

static bool yaml_fails(void)
{
    return yaml_fail > 0 && --yaml_fail == 0;
}

void *yaml_malloc(size_t n)
{
    return yaml_fails() ? NULL : malloc(n ? n : 1);
}

void *yaml_realloc(void *p, size_t n)
{
    return yaml_fails() ? NULL : realloc(p, n ? n : 1);
}

/* --- the reference's cases ------------------------------------------------------------------------ */

static bool same(const Node *n, const json_t *want);

static bool same_members(const Node *n, const json_t *want)
{
    const Node *c = n->first;
    if (n->kind == NODE_LIST) {
        for (size_t i = 0; i < json_array_size(want); i++, c = c->next)
            if (!c || !same(c, json_array_get(want, i)))
                return false;
        return json_is_array(want) && !c;
    }
    for (; c; c = c->next)
        if (!json_object_get(want, c->key) || !same(c, json_object_get(want, c->key)))
            return false;
    return json_is_object(want) && json_object_size(want) == n->count;
}

/* {"real": "inf"} stands for what JSON lacks. */
static bool same_real(double x, const json_t *want)
{
    const char *word = json_string_value(json_object_get(want, "real"));
    if (!word)
        return json_is_real(want) && json_real_value(want) == x;
    return strcmp(word, "nan") == 0 ? isnan(x) : x == (*word == '-' ? -INFINITY : INFINITY);
}

static bool same(const Node *n, const json_t *want)
{
    switch (n->kind) {
    case NODE_NULL: return json_is_null(want);
    case NODE_BOOL: return json_is_boolean(want) && json_is_true(want) == n->flag;
    case NODE_WHOLE: return json_is_integer(want) && json_integer_value(want) == n->whole;
    case NODE_REAL: return same_real(n->real, want);
    case NODE_TEXT: return json_is_string(want) && strcmp(json_string_value(want), n->text) == 0;
    default: return same_members(n, want);
    }
}

static Node *merged(Tree *t, const json_t *c, Error *e)
{
    const json_t *texts = json_object_get(c, "texts"), *options = json_object_get(c, "options");
    const char *words[16];
    size_t count = json_array_size(options);
    Node *root = node_new(t, NODE_MAP, (Origin){"CASE", 0}, e);
    for (size_t i = 0; root && i < json_array_size(texts); i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        Node *layer = yaml_parse(t, text, strlen(text), "CASE", true, e);
        root = layer && layer->kind == NODE_MAP && settings_merge(t, root, layer, e) ? root : NULL;
    }
    for (size_t i = 0; i < count; i++)
        words[i] = json_string_value(json_array_get(options, i));
    Node *o = root ? options_read(t, words, count, e) : NULL;
    return o && settings_merge(t, root, o, e) && settings_interpolate(t, root, e) ? root : NULL;
}

/* What is written is read as the same. */
static void check_written(const Node *root, const json_t *want)
{
    StrBuf s = {0};
    Tree t = {0};
    Error e = {0};
    yaml_write(root, true, &s);
    const Node *again = yaml_parse(&t, strbuf_cstr(&s), s.len, "WRITTEN", true, &e);
    if (!again || !same(again, want))
        fail_msg("%s: written as\n%s", e.message, s.data);
    tree_free(&t);
    strbuf_free(&s);
}

static void reference_cases(void **state)
{
    Error e = {0};
    json_t *cases =
        json_load_path(SOURCE_DIR "/tests/data/settings/cases.json", 1 << 20, ERR_FAILED, &e);
    setenv("SETTINGS_A", "12", 1);
    unsetenv("SETTINGS_NONE");
    assert_true(json_array_size(cases) > 140);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i), *want = json_object_get(c, "value");
        Tree t = {0};
        Error why = {0};
        const Node *root = merged(&t, c, &why);
        char *shown = json_dumps(c, 0);
        if (!!root != !!want || (root && !same(root, want)))
            fail_msg("%s: got %s", shown, root ? "another value" : why.message);
        if (root)
            check_written(root, want);
        else
            assert_true(why.code == ERR_FAILED || why.code == ERR_USAGE);
        free(shown);
        tree_free(&t);
    }
    json_decref(cases);
}

/* --- refusals and bounds -------------------------------------------------------------------------- */

static void refused_text(const char *text, size_t n, const char *says)
{
    Tree t = {0};
    Error e = {0};
    if (yaml_parse(&t, text, n, "FILE", true, &e))
        fail_msg("accepted: %.200s", text);
    if (e.code != ERR_FAILED || strncmp(e.message, "FILE", 4) != 0 || !strstr(e.message, says) ||
        strchr(e.message, '\n'))
        fail_msg("%.100s: got %s", text, e.message);
    tree_free(&t);
}

static void refused(const char *text, const char *says)
{
    refused_text(text, strlen(text), says);
}

static void refusals(void **state)
{
    refused("a: 1\n b: 2", "FILE:2: bad YAML: ");
    refused("a:\n  - 1\n - 2", "FILE:3: bad YAML: ");
    refused("a: 1\nb: 2\na: 3", "FILE:3: key comes twice: a");
    refused("a: 1\n'a': 3", "FILE:2: key comes twice: a");
    refused("a: &x 1\nb: &x 2", "FILE:2: anchor comes twice: &x");
    refused("a: &x [*x]", "FILE:1: alias within what it stands for: *x");
    refused("a: *x", "FILE:1: unknown alias *x");
    refused("a: 123456789012345678901234567890", "expected an integer of 64 bits, got 1234567890");
    refused("a: \"x\\0y\"", "FILE:1: text: expected no zero byte in it");
    refused("a: !!python/object:os.system x",
            "tag: expected one of YAML's own, got tag:yaml.org,2002:python/object");
    refused("? [a]\n: 1", "FILE:1: key: expected a plain text");
    refused("a: 1\n<<: {b: 1}\n<<: {c: 1}", "FILE:3: key comes twice: <<");
    refused("a: \xff", "bad YAML");
    refused("a: \x01", "bad YAML");
    refused("%YAML 3.0\n---\na: 1", "bad YAML");
    refused_text("a: 1\0b", 6, "bad YAML");
}

static void repeated(StrBuf *s, const char *text, int times)
{
    for (int i = 0; i < times; i++)
        strbuf_puts(s, text);
}

static void bounds(void **state)
{
    StrBuf s = {0};
    repeated(&s, "[", NODE_DEPTH + 1);
    refused(strbuf_cstr(&s), "expected at most 64 nested levels");
    strbuf_free(&s);
    repeated(&s, "[", 1 << 20); /* at once, not after reading them all */
    refused(strbuf_cstr(&s), "expected at most 64 nested levels");
    strbuf_free(&s);

    strbuf_puts(&s, "a0: &a0 [x, x, x, x, x, x, x, x]\n"); /* each nine times the one before */
    for (int i = 1; i < 10; i++) {
        strbuf_printf(&s, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            strbuf_printf(&s, "*a%d%s", i - 1, k < 8 ? "," : "]\n");
    }
    refused(strbuf_cstr(&s), "expected at most 65536 values, aliases expanded, got more");
    strbuf_free(&s);

    for (int i = 0; i <= KEYS_MAX; i++)
        strbuf_printf(&s, "k%d: 1\n", i);
    refused(strbuf_cstr(&s), "expected at most 4096 keys");
    strbuf_free(&s);
    repeated(&s, "- 1\n", NODES_MAX);
    refused(strbuf_cstr(&s), "expected at most 65536 values");
    strbuf_free(&s);
    for (int i = 0; i <= 1024; i++)
        strbuf_printf(&s, "- &a%d 1\n", i);
    refused(strbuf_cstr(&s), "expected at most 1024 anchors");
    strbuf_free(&s);
    repeated(&s, "k", KEY_LENGTH_MAX + 1);
    strbuf_puts(&s, ": 1");
    refused(strbuf_cstr(&s), "key: expected at most 200 bytes");
    strbuf_free(&s);
}

static void refused_references(const char *text, const char *says)
{
    Tree t = {0};
    Error e = {0};
    Node *root = yaml_parse(&t, text, strlen(text), "FILE", true, &e);
    if (!root || settings_interpolate(&t, root, &e))
        fail_msg("accepted, or not read: %.200s", text);
    if (!strstr(e.message, says))
        fail_msg("%.100s: got %s", text, e.message);
    tree_free(&t);
}

static void references(void **state)
{
    StrBuf s = {0};
    refused_references("a: ${b}\nb:\n  c: ${a}", "got a circle");
    refused_references("x: {y: 'z${nope.a}'}",
                       "FILE:1: x.y: ${nope.a}: expected a key that is there");
    refused_references("a: ${env:SETTINGS_NONE}", "a: environment: expected SETTINGS_NONE");
    refused_references("a: ${}", "expected a key within ${}");
    for (int i = 20; i > 0; i--) /* each twice the one before */
        strbuf_printf(&s, "a%d: ${a%d}${a%d}\n", i, i - 1, i - 1);
    strbuf_puts(&s, "a0: text");
    refused_references(strbuf_cstr(&s), "expected a text of at most 65536 bytes");
    strbuf_free(&s);
    for (int i = 100; i > 0; i--)
        strbuf_printf(&s, "a%d: ${a%d}\n", i, i - 1);
    strbuf_puts(&s, "a0: text");
    refused_references(strbuf_cstr(&s), "expected at most 64 references one behind another");
    strbuf_free(&s);
    strbuf_puts(&s, "a0: {x: 1}\n");
    for (int i = 1; i < 80; i++) /* each one level deeper */
        strbuf_printf(&s, "a%d: {x: '${a%d}'}\n", i, i - 1);
    refused_references(strbuf_cstr(&s), "expected at most 64 nested levels");
    strbuf_free(&s);
    for (int i = 0; i < 20; i++)
        repeated(&s, i < 10 ? "${" : "a: ", i < 10 ? 10 : 0);
    StrBuf nested = {0};
    strbuf_printf(&nested, "a: '%s'", s.data);
    refused_references(strbuf_cstr(&nested), "expected at most 16 references in each other");
    strbuf_free(&nested);
    strbuf_free(&s);
}

/* --- configurations ------------------------------------------------------------------------------- */

#define MODEL "model: {arch: blip2_t5, model_type: pretrain_flant5xl}\n"
#define SETS  "datasets:\n  gqa:\n    type: balanced_testdev\n"
#define RUN   "run:\n  task: gqa\n  evaluate: yes\n"

static bool parse_with(Settings *s, const char *text, const char *const *options, size_t count,
                       Error *e)
{
    return settings_parse(s, text, strlen(text), "FILE", options, count, e);
}

static void shown_origin(const Settings *s, const char *path, const char *want)
{
    StrBuf text = {0};
    const Node *n = settings_at(s->root, path);
    assert_non_null(n);
    origin_text(n->origin, &text);
    assert_string_equal(strbuf_cstr(&text), want);
    strbuf_free(&text);
}

static void layers(void **state)
{
    static const char *const OPTIONS[] = {"run.num_beams=4", "model.image_size=490"};
    Settings s;
    Error e = {0};
    int64_t n = 0;
    double x = 0;
    bool flag = false;
    const char *text = NULL;
    assert_true(
        parse_with(&s, MODEL SETS RUN "  max_len: 12.0\n  init_lr: '1e-4'\n", OPTIONS, 2, &e));
    assert_int_equal(s.notice_count, 0);
    assert_true(settings_whole(s.root, "run.num_beams", 1, 10, &n, &e) && n == 4);
    shown_origin(&s, "run.num_beams", "--options");
    assert_true(settings_whole(s.root, "run.max_len", 1, 100, &n, &e) && n == 12);
    shown_origin(&s, "run.max_len", "FILE:8");
    assert_true(settings_real(s.root, "run.init_lr", &x, &e) && x == 1e-4);
    assert_true(settings_real(s.root, "run.length_penalty", &x, &e) && x == -1);
    shown_origin(&s, "run.length_penalty", "default");
    assert_true(settings_whole(s.root, "model.image_size", 1, 1000, &n, &e) && n == 490);
    assert_true(settings_text(s.root, "model.t5_model", &text, &e));
    assert_string_equal(text, "google/flan-t5-xl");
    shown_origin(&s, "model.t5_model", "default of blip2_t5/pretrain_flant5xl");
    assert_true(settings_flag(s.root, "run.evaluate", &flag, &e) && flag);
    const Node *gqa = settings_at(s.root, "datasets.gqa");
    const Node *val = settings_at(gqa, "build_info.annotations.val.storage");
    assert_string_equal(settings_text_at(val, 0),
                        "gqa/annotations/testdev_balanced_questions.json");
    assert_null(settings_text_at(val, 1));
    shown_origin(&s, "datasets.gqa.data_type", "default of gqa/balanced_testdev");
    assert_null(settings_at(s.root, "run.annotation_file"));
    assert_false(settings_text(s.root, "run.annotation_file", &text, &e));
    assert_string_equal(e.message, "FILE: run.annotation_file: expected a text, got nothing");
    settings_free(&s);
}

/* Options count when defaults are chosen, and a data set may be given without anything. */
static void chosen_by_options(void **state)
{
    static const char *const OPTIONS[] = {"model.model_type",   "caption_coco_flant5xl",
                                          "datasets.gqa.type",  "balanced_val",
                                          "run.length_penalty", "-1.5"};
    Settings s;
    Error e = {0};
    double x = 0;
    assert_true(parse_with(&s, MODEL SETS "  nocaps:\n" RUN, OPTIONS, 6, &e));
    assert_string_equal(settings_at(s.root, "model.prompt")->text, "a photo of");
    assert_true(settings_real(s.root, "run.length_penalty", &x, &e) && x == -1.5);
    shown_origin(&s, "datasets.gqa.build_info.annotations.val.storage",
                 "default of gqa/balanced_val");
    assert_string_equal(settings_at(s.root, "datasets.nocaps.build_info.images.storage")->text,
                        "nocaps/images");
    settings_free(&s);
}

static void refused_with(const char *text, const char *option, ErrorCode code, const char *message)
{
    Settings s;
    Error e = {0};
    if (parse_with(&s, text, &option, option ? 1 : 0, &e))
        fail_msg("accepted: %s", text);
    assert_string_equal(e.message, message);
    assert_int_equal(e.code, code);
    settings_free(&s);
}

static void refused_settings(void **state)
{
    refused_with("", NULL, ERR_FAILED, "FILE: file: expected model, datasets and run, got nothing");
    refused_with("# nothing\n", NULL, ERR_FAILED,
                 "FILE: file: expected model, datasets and run, got nothing");
    refused_with("- a", NULL, ERR_FAILED, "FILE:1: expected model, datasets and run, got a list");
    refused_with(SETS RUN, NULL, ERR_FAILED, "FILE: model: expected a map, got nothing");
    refused_with(MODEL "datasets:\n" RUN, NULL, ERR_FAILED,
                 "FILE:2: datasets: expected a map, got null");
    refused_with(MODEL SETS, NULL, ERR_FAILED, "FILE: run: expected a map, got nothing");
    refused_with(
        "model: {arch: blip2}\n" SETS RUN, NULL, ERR_FAILED,
        "FILE: model.model_type: expected one of pretrain, pretrain_vitL, coco, got nothing");
    refused_with(
        MODEL SETS RUN, "model.model_type=xl", ERR_USAGE,
        "--options: model.model_type: expected one of pretrain_flant5xl, pretrain_flant5xl_vitL, "
        "pretrain_flant5xxl, caption_coco_flant5xl, got 'xl'");
    refused_with(MODEL "datasets: {gqa: {type: x}}\n" RUN, NULL, ERR_FAILED,
                 "FILE:2: datasets.gqa.type: expected one of default, balanced_val, "
                 "balanced_testdev, got 'x'");
    refused_with(MODEL SETS "run: {task: vqx}", NULL, ERR_FAILED,
                 "FILE:5: run.task: expected one of "
                 "captioning|vqa|gqa|aok_vqa|retrieval|image_text_pretrain, got 'vqx'");
    refused_with(MODEL SETS RUN "  num_beams: five\n", NULL, ERR_FAILED,
                 "FILE:8: run.num_beams: expected a whole number, got 'five'");
    refused_with(MODEL SETS RUN "  prompt: no\n", NULL, ERR_FAILED,
                 "FILE:8: run.prompt: expected a text, got the boolean no (quotes make it a text)");
    refused_with(MODEL SETS RUN "  seed: null\n", NULL, ERR_FAILED,
                 "FILE:8: run.seed: expected a whole number, got null");
    refused_with(MODEL SETS RUN "  seed: ???\n", NULL, ERR_FAILED,
                 "FILE:8: run.seed: expected a value, got ???");
    refused_with(MODEL "datasets: {gqa: {vis_processor: 5}}\n" RUN, NULL, ERR_FAILED,
                 "FILE:2: datasets.gqa.vis_processor: expected a map, got the number 5");
    refused_with(MODEL SETS RUN, "run.test_splits=[1]", ERR_USAGE,
                 "--options: run.test_splits: expected a text or a list of texts, got a list");
    refused_with(MODEL SETS RUN, "run.seed", ERR_USAGE,
                 "--options: expected a value behind 'run.seed', got nothing");
    refused_with(MODEL SETS RUN, "run..seed=1", ERR_USAGE,
                 "--options: expected KEY=VALUE, got 'run..seed=1'");
    refused_with(MODEL SETS RUN, "run.task.x=1", ERR_USAGE,
                 "--options: run.task: expected one of "
                 "captioning|vqa|gqa|aok_vqa|retrieval|image_text_pretrain, got a map");
}

static void notices(void **state)
{
    static const char *const OPTIONS[] = {"modle.arch=x", "run.k_tset=5"};
    static const char *const WANT[] = {
        "FILE:10: extra: unknown key, ignored; expected model, datasets, run, env",
        "--options: modle: unknown key, ignored; expected model, datasets, run, env",
        "FILE:5: datasets.gqa.vis_procesor: unknown key, ignored; did you mean vis_processor?",
        "FILE:8: run.num_beam: unknown key, ignored; did you mean num_beams?",
        "FILE:9: run.image_size: unknown key, ignored; did you mean model.image_size?",
        "--options: run.k_tset: unknown key, ignored; did you mean k_test?",
    };
    Settings s;
    Error e = {0};
    assert_true(parse_with(&s,
                           MODEL SETS "    vis_procesor: {eval: {name: x}}\nrun:\n  task: gqa\n  "
                                      "num_beam: 5\n  image_size: 5\nextra: 1\n",
                           OPTIONS, 2, &e));
    for (size_t i = 0; i < s.notice_count; i++)
        assert_string_equal(s.notices[i], i < sizeof WANT / sizeof *WANT ? WANT[i] : "");
    assert_int_equal(s.notice_count, sizeof WANT / sizeof *WANT);
    settings_free(&s);
}

/* The program's own files: no notices, and what the specification of the benchmarks says of generation. */
static void own_files(void **state)
{
    static const struct {
        const char *name, *prompt;
        double pixels, beams, max, min, length, repetition;
    } FILES[] = {
        {"vqav2_zeroshot_opt", "Question: {} Short answer:", 224, 5, 10, 1, 0, 1},
        {"vqav2_zeroshot_flant5xl", "Question: {} Short answer:", 224, 5, 10, 1, -1, 1},
        {"okvqa_zeroshot_flant5xl", "Question: {} Short answer:", 224, 5, 10, 1, -1, 1},
        {"gqa_zeroshot_flant5xl", "Question: {} Short answer:", 224, 5, 10, 1, -1, 1},
        {"caption_coco_opt2.7b", "a photo of", 364, 5, 30, 8, 0, 1.15},
        {"caption_coco_opt6.7b", "a photo of", 364, 5, 30, 8, 0, 1.15},
        {"caption_coco_flant5xl", "a photo of", 364, 5, 30, 8, 0, 1.15},
        {"caption_nocaps_out_domain_flant5xl", "", 224, 5, 80, 10, 1, 1.15},
        {"caption_nocaps_out_domain_flant5xxl", "", 224, 5, 80, 10, 1, 1.15},
        {"ret_coco", NULL, 364, 0, 0, 0, 0, 0},
        {"ret_flickr", NULL, 364, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char path[512];
        Settings s;
        Error e = {0};
        snprintf(path, sizeof path, "%s/configs/eval/%s_eval.yaml", SOURCE_DIR, FILES[i].name);
        if (!settings_load(&s, path, NULL, 0, &e))
            fail_msg("%s", e.message);
        assert_int_equal(s.notice_count, 0);
        double got[6] = {0};
        static const char *const KEYS[] = {"model.image_size",   "run.num_beams",
                                           "run.max_len",        "run.min_len",
                                           "run.length_penalty", "run.repetition_penalty"};
        for (int k = 0; k < (FILES[i].prompt ? 6 : 1); k++)
            assert_true(settings_real(s.root, KEYS[k], &got[k], &e));
        const double want[6] = {FILES[i].pixels, FILES[i].beams,  FILES[i].max,
                                FILES[i].min,    FILES[i].length, FILES[i].repetition};
        assert_memory_equal(got, want, sizeof got);
        bool captions = strncmp(FILES[i].name, "caption", 7) == 0;
        if (FILES[i].prompt)
            assert_string_equal(settings_at(s.root, captions ? "model.prompt" : "run.prompt")->text,
                                FILES[i].prompt);
        else
            assert_int_equal(settings_at(s.root, "run.k_test")->whole, 128);
        settings_free(&s);
    }
}

/* --- memory --------------------------------------------------------------------------------------- */

static const char EVERYTHING[] =
    MODEL SETS RUN "  output_dir: &x out/${run.task}/${oc.env:SETTINGS_NONE,x}\n  nope: *x\n  "
                   "valid_splits: [a, b]\n"
                   "  train_dataset_ratios: {<<: {gqa: 1}}\n";

static bool all_of_it(Error *e)
{
    static const char *const OPTIONS[] = {"run.seed=1"};
    Settings s;
    StrBuf out = {0};
    bool ok = settings_parse(&s, EVERYTHING, sizeof EVERYTHING - 1, "FILE", OPTIONS, 1, e);
    if (ok) {
        settings_print(&s, &out);
        ok = strbuf_cstr(&out) || error_memory(e, "out", 0);
    }
    strbuf_free(&out);
    settings_free(&s);
    return ok;
}

static void allocations_fail(void **state)
{
    size_t before = mem_in_use();
    bool done = false;
    for (long n = 1; !done; n++) {
        Error e = {0};
        mem_fail_at(n);
        bool ok = all_of_it(&e);
        done = !mem_fail_hit();
        mem_fail_at(0);
        if (ok != done || (!ok && e.code != ERR_MEMORY))
            fail_msg("allocation %ld: %d, %s", n, ok, e.message);
        assert_int_equal(mem_in_use(), before);
        assert_true(n < 10000);
    }
}

static void libyaml_allocations_fail(void **state)
{
    size_t before = mem_in_use();
    bool done = false;
    long n = 1;
    for (; !done; n++) {
        Error e = {0};
        yaml_fail = n;
        bool ok = all_of_it(&e);
        done = yaml_fail > 0;
        yaml_fail = 0;
        if (ok != done || (!ok && e.code != ERR_MEMORY))
            fail_msg("libyaml's allocation %ld: %d, %s", n, ok, e.message);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(n > 100); /* they do come through here */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_cases),
        cmocka_unit_test(refusals),
        cmocka_unit_test(bounds),
        cmocka_unit_test(references),
        cmocka_unit_test(layers),
        cmocka_unit_test(chosen_by_options),
        cmocka_unit_test(refused_settings),
        cmocka_unit_test(notices),
        cmocka_unit_test(own_files),
        cmocka_unit_test(allocations_fail),
        cmocka_unit_test(libyaml_allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
