/* debug/score.c: eval/score.h for the command. */
#include "blip2_debug.h"

#include "api/api.h"
#include "eval/score.h"

struct blip2_metrics {
    Metrics m;
};

typedef bool ScoreFn(const ScoreFiles *f, Metrics *out, Error *e);

static const struct {
    ScoreFn *fn;
    bool has_truth;
} KINDS[] = {
    [BLIP2_SCORE_CAPTION] = {score_captions, true},
    [BLIP2_SCORE_VQA] = {score_vqa, true},
    [BLIP2_SCORE_GQA] = {score_gqa, false},
    [BLIP2_SCORE_RETRIEVAL] = {score_retrieval, true},
};

static bool check(blip2_score_kind kind, const blip2_score_files *files, Error *e)
{
    if ((size_t)kind >= sizeof KINDS / sizeof *KINDS)
        return error_set(e, ERR_USAGE, "score: kind: expected one of four, got %d", (int)kind);
    if (!files || !files->results || files->result_count == 0)
        return error_set(e, ERR_USAGE, "score: results: expected files, got none");
    return files->truth || !KINDS[kind].has_truth ||
           error_set(e, ERR_USAGE, "score: ground truth: expected a file, got nothing");
}

blip2_metrics *blip2_score_run(blip2_score_kind kind, const blip2_score_files *files,
                               blip2_error *err)
{
    Error e = {0};
    blip2_metrics *m = check(kind, files, &e) ? mem_calloc(1, sizeof *m) : NULL;
    if (!m)
        error_memory(&e, "score", sizeof *m);
    ScoreFiles f = {0};
    if (m)
        f = (ScoreFiles){files->results,        files->result_count, files->truth,
                         files->only_predicted, files->ptb_jar,      files->meteor_jar,
                         files->spice_jar,      files->lemmatize,    files->lemmatizer};
    if (m && KINDS[kind].fn(&f, &m->m, &e))
        return m;
    blip2_metrics_free(m);
    api_error(err, &e);
    return NULL;
}

size_t blip2_metrics_count(const blip2_metrics *m)
{
    return m->m.count;
}

blip2_metric blip2_metrics_at(const blip2_metrics *m, size_t i)
{
    const Metric *x = &m->m.list[i];
    return (blip2_metric){x->group, x->name, x->value, x->computed};
}

const char *blip2_metrics_notice(const blip2_metrics *m)
{
    return *m->m.notes.text ? m->m.notes.text : NULL;
}

void blip2_metrics_free(blip2_metrics *m)
{
    if (m)
        metrics_free(&m->m);
    mem_free(m);
}
