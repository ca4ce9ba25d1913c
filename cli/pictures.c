/* caption and ask over many pictures, whose results are written in the order given (flow.h). On a terminal one is computed at a
 * time, whose text appears as it is generated. */
#include "answer.h"

#include "flow.h"
#include "json.h"
#include "operands.h"
#include "output.h"
#include "session.h"
#include "stream.h"

#include <string.h>

/* Pictures computed together unless --batch says otherwise: as many as search in ROWS rows together, from where on the
 * arithmetic takes the time and not the memory (docs/SPEED.md). Each keeps its keys and values. */
enum { ROWS = 40, LEAST = 8, MOST = 16 };

typedef struct Work {
    Flow flow;
    blip2_item request; /* but for its picture */
    blip2_options generation;
    const char *question;
    Choices choices; /* ask: ranked instead of generating; none: not */
    bool json, streaming, many;
    size_t count, done, failed;
    int first_code; /* exit code of the first failure */
    int final_code; /* not 0: nothing more can be done */
    Stream stream;
} Work;

static void print_label(Work *w, const char *path)
{
    if (!w->many)
        return;
    out_plain(path);
    out_text(": ");
    w->stream.columns = strlen(path) + 2;
}

static void write_failure(Work *w, const FlowItem *item)
{
    complain_picture(item->path, item->error.message);
    if (w->json)
        out_json(failure_json(item->path, item->error.message));
    if (w->failed++ == 0)
        w->first_code = exit_code(&item->error);
}

static void write_texts(Work *w, const FlowItem *item)
{
    size_t count = blip2_result_count(item->result, 0);
    if (w->streaming) {
        stream_end(&w->stream, blip2_result_text(item->result, 0));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const blip2_candidate *c = blip2_result_candidate(item->result, 0, i);
        print_label(w, item->path);
        if (w->choices.count)
            out_print("%.4f  ", c->probability);
        out_plain(c->text);
        out_text("\n");
    }
}

static void write_success(Work *w, const FlowItem *item)
{
    const char *notice = blip2_result_notice(item->result, 0);
    if (w->json)
        out_json(answer_json(item->path, w->question, item->result, 0));
    else
        write_texts(w, item);
    if (notice)
        complain_picture(item->path, notice);
    w->done++;
}

static void show_progress(const Work *w)
{
    const size_t done = w->done + w->failed;
    if (w->many && !out_is_terminal() && done < w->count)
        progress("%zu of %zu pictures", done, w->count);
}

/* Options or a text that make no sense do so for every picture: said once, they end the command. */
static bool write_item(void *user, const FlowItem *item)
{
    Work *w = user;
    if (w->streaming && item->read && item->error.code != BLIP2_OK)
        stream_drop(&w->stream);
    if (item->error.code == BLIP2_USAGE)
        w->final_code = report(&item->error);
    else if (!item->result || item->error.code != BLIP2_OK)
        write_failure(w, item);
    else
        write_success(w, item);
    bool ended = !out_flush();
    if (!w->final_code && !ended)
        show_progress(w);
    return !w->final_code && !ended;
}

static void begin_item(void *user, const char *path)
{
    print_label(user, path);
}

static bool show_token(void *user, size_t index, int id, const char *text)
{
    Work *w = user;
    (void)index;
    (void)id;
    stream_add(&w->stream, text);
    return true;
}

static int outcome(const Work *w)
{
    if (w->final_code)
        return w->final_code;
    if (w->failed == 0)
        return EXIT_OK;
    return w->done ? EXIT_SOME : w->first_code;
}

static size_t together(const Args *args, const Work *w)
{
    const size_t rows =
        (size_t)(w->generation.num_beams > w->generation.num_captions ? w->generation.num_beams
                                                                      : w->generation.num_captions);
    const size_t fits = ROWS / (rows ? rows : 1);
    const size_t usual = fits < LEAST ? LEAST : fits > MOST ? MOST : fits;
    return w->streaming ? 1 : (size_t)args_whole(args, OPT_BATCH, (long)usual);
}

static int prepare(Work *w, const Args *args, const Runtime *runtime, blip2_task task)
{
    int code = make_request(args, runtime->model, task, &w->generation, &w->request);
    w->request.text = w->question;
    w->json = args->has[OPT_JSON];
    w->streaming = !w->json && !w->choices.count && out_is_terminal() &&
                   w->generation.num_captions <= 1 && args_whole(args, OPT_BATCH, 1) == 1;
    if (w->streaming) {
        w->request.on_token = show_token;
        w->request.user = w;
    }
    w->flow = (Flow){.session = runtime->session,
                     .request = &w->request,
                     .choices = &w->choices,
                     .pictures = {.model = runtime->model, .library = BLIP2_LAVIS},
                     .together = together(args, w),
                     .user = w,
                     .begin = w->streaming ? begin_item : NULL,
                     .write = write_item};
    return code ? code : check_request(args, runtime, &w->request);
}

static int do_all(Work *w, const Pictures *p)
{
    blip2_error err = {0};
    w->many = p->many;
    w->count = p->count;
    w->flow.pictures.paths = p->paths;
    w->flow.pictures.count = p->count;
    show_progress(w);
    return flow_run(&w->flow, &err) == BLIP2_OK ? 0 : report(&err);
}

int answer_pictures(const Args *args, blip2_task task, const char *question, char *const *paths,
                    size_t count)
{
    Runtime runtime;
    Pictures pictures;
    Work w = {.question = question};
    int code = pictures_once(paths, count);
    if (code)
        return code;
    if (args->has[OPT_CHOICES])
        code = choices_read(&w.choices, args->value[OPT_CHOICES].text);
    if (code) {
        choices_free(&w.choices);
        return code;
    }
    code = runtime_open(&runtime, args);
    if (!code)
        code = prepare(&w, args, &runtime, task);
    if (!code) {
        pictures_find(&pictures, paths, count, args->has[OPT_RECURSIVE]);
        code = do_all(&w, &pictures);
        pictures_free(&pictures);
    }
    choices_free(&w.choices);
    runtime_close(&runtime);
    return code ? code : outcome(&w);
}
