/* blip2 score KIND RESULT GROUNDTRUTH: numbers of files, without a model. */
#include "json.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "verbs.h"

#include <blip2_debug.h>
#include <string.h>

typedef struct Kind {
    const char *word;
    blip2_score_kind kind;
    bool truth;       /* the last operand is the ground truth */
    int digits;       /* behind the point, for people */
    const char *nest; /* in JSON, around groups; NULL: nothing */
} Kind;

static const Kind kinds[] = {
    {"caption", BLIP2_SCORE_CAPTION, true, 4, "domains"},
    {"vqa", BLIP2_SCORE_VQA, true, 2, NULL},
    {"gqa", BLIP2_SCORE_GQA, false, 2, NULL},
    {"retrieval", BLIP2_SCORE_RETRIEVAL, true, 2, NULL},
};

static const Kind *kind_named(const char *word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].word, word) == 0)
            return &kinds[i];
    return NULL;
}

/* Options that this kind has no use for are an error: a number that they did not change would mislead. */
static int check_options(const Args *args, const Kind *k)
{
    static const struct {
        OptId option;
        const char *kinds;
    } uses[] = {
        {OPT_PTB_JAR, "caption"},        {OPT_METEOR_JAR, "caption"}, {OPT_SPICE_JAR, "caption"},
        {OPT_ONLY_PREDICTED, "caption"}, {OPT_LEMMATIZE, "vqa gqa"},  {OPT_LEMMATIZER, "vqa gqa"},
    };
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
        if (args->has[uses[i].option] && !strstr(uses[i].kinds, k->word))
            return usage_error("score %s: --%s is for %s", k->word, options[uses[i].option].name,
                               uses[i].kinds);
    return 0;
}

/* Without --merge one result, so that a superfluous file is no shard by accident. */
static int check_operands(const Args *args, const Kind *k)
{
    int files = args->count - 1, truth = k->truth, least = 1 + truth;
    const char *rest = truth ? "RESULT GROUNDTRUTH" : "RESULT";
    if (files < least)
        return usage_error("score %s: too few arguments, expected blip2 score %s %s", k->word,
                           k->word, rest);
    if (files > least && !args->has[OPT_MERGE])
        return usage_error("score %s: superfluous argument '%s', expected %s; several results are "
                           "shards with --merge",
                           k->word, args->operands[1 + least], rest);
    return 0;
}

static json_t *nested(json_t *o, const char *key)
{
    json_t *inner = json_object_get(o, key);
    if (!inner)
        json_put(o, key, json_object());
    return inner ? inner : json_object_get(o, key);
}

static void write_json(const blip2_metrics *m, const Kind *k)
{
    json_t *o = json_object();
    for (size_t i = 0; i < blip2_metrics_count(m); i++) {
        blip2_metric x = blip2_metrics_at(m, i);
        json_t *to = *x.group ? nested(k->nest ? nested(o, k->nest) : o, x.group) : o;
        json_put(to, x.name, x.computed ? json_number(x.value) : json_null());
    }
    out_json_exact(o);
}

/* What is missing for a metric, said beside its name. */
static const char *missing(const char *name)
{
    if (strcmp(name, "METEOR") == 0)
        return "not computed, needs --meteor-jar";
    return strcmp(name, "SPICE") == 0 ? "not computed, needs --spice-jar" : "none";
}

static void write_text(const blip2_metrics *m, const Kind *k)
{
    const char *group = "";
    for (size_t i = 0; i < blip2_metrics_count(m); i++) {
        blip2_metric x = blip2_metrics_at(m, i);
        if (strcmp(group, x.group) != 0) {
            group = x.group;
            out_text("\n");
            out_plain(group);
            out_text("\n");
        }
        if (x.computed)
            out_print("%10.*f  ", k->digits, x.value);
        else
            out_print("%10s  ", "-");
        out_plain(x.name);
        out_print("%s%s\n", x.computed ? "" : ": ", x.computed ? "" : missing(x.name));
    }
}

static blip2_score_files files_of(const Args *args, const Kind *k)
{
    size_t files = (size_t)args->count - 1;
    return (blip2_score_files){
        .results = (const char *const *)args->operands + 1,
        .result_count = files - k->truth,
        .truth = k->truth ? args->operands[files] : NULL,
        .only_predicted = args->has[OPT_ONLY_PREDICTED],
        .ptb_jar = args_text(args, OPT_PTB_JAR, NULL),
        .meteor_jar = args_text(args, OPT_METEOR_JAR, NULL),
        .spice_jar = args_text(args, OPT_SPICE_JAR, NULL),
        .lemmatize = args->has[OPT_LEMMATIZE],
        .lemmatizer = args_text(args, OPT_LEMMATIZER, NULL),
    };
}

int run_score(const Args *args)
{
    blip2_error err = {0};
    const Kind *k = kind_named(args->operands[0]);
    if (!k)
        return usage_error("score: expected caption, vqa, gqa or retrieval, got '%s'",
                           args->operands[0]);
    int code = check_operands(args, k);
    if (!code)
        code = check_options(args, k);
    if (code)
        return code;
    blip2_score_files files = files_of(args, k);
    blip2_debug_fail_alloc(args_whole(args, OPT_FAIL_ALLOC, 0));
    blip2_metrics *m = blip2_score_run(k->kind, &files, &err);
    if (!m)
        return report(&err);
    if (blip2_metrics_notice(m))
        complain("%s", blip2_metrics_notice(m));
    if (args->has[OPT_JSON])
        write_json(m, k);
    else
        write_text(m, k);
    blip2_metrics_free(m);
    return EXIT_OK;
}
