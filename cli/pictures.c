/* caption and ask over many pictures: read a group, compute it together, write the results in the
 * order given. On a terminal a group is one picture, whose text appears as it is generated.
 *
 * Large pictures make a group smaller, and one that has no memory beside the others is done again when
 * they are gone: what becomes of a picture does not depend on its neighbours. */
#include "answer.h"

#include "choices.h"
#include "image.h"
#include "json.h"
#include "memory.h"
#include "operands.h"
#include "output.h"
#include "path.h"
#include "session.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

enum { GROUP = 8 }; /* pictures computed together unless --batch says otherwise */

/* A group is read no further when it has this many pixels (4 bytes each at most): ordinary photographs
 * fill it, large ones come alone. */
enum { GROUP_PIXELS = 128 << 20 };

typedef struct Item {
    const char *path;
    blip2_image *image;   /* NULL: could not be read */
    blip2_error error;    /* of reading, or of the call */
    blip2_result *result; /* shared by the group; not owned */
    size_t index;         /* in result */
} Item;

typedef struct Work {
    blip2_session *session;
    blip2_item request; /* but for its picture */
    blip2_options generation;
    const char *question;
    Choices choices; /* ask: ranked instead of generating; none: not */
    bool json, streaming, many;
    bool ended; /* nothing more can be written */
    size_t group, done, failed;
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

static void write_failure(Work *w, const Item *item)
{
    complain_picture(item->path, item->error.message);
    if (w->json)
        out_json(failure_json(item->path, item->error.message));
    if (w->failed++ == 0)
        w->first_code = exit_code(&item->error);
}

static void write_texts(Work *w, const Item *item)
{
    size_t count = blip2_result_count(item->result, item->index);
    if (w->streaming) {
        stream_end(&w->stream, blip2_result_text(item->result, item->index));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const blip2_candidate *c = blip2_result_candidate(item->result, item->index, i);
        print_label(w, item->path);
        if (w->choices.count)
            out_print("%.4f  ", c->probability);
        out_plain(c->text);
        out_text("\n");
    }
}

static void write_success(Work *w, const Item *item)
{
    const char *notice = blip2_result_notice(item->result, item->index);
    if (w->json)
        out_json(answer_json(item->path, w->question, item->result, item->index));
    else
        write_texts(w, item);
    if (notice)
        complain_picture(item->path, notice);
    w->done++;
}

/* Options or a text that make no sense do so for every picture: said once, they end the command. */
static void write_item(Work *w, Item *item)
{
    if (item->result)
        item->error = *blip2_result_error(item->result, item->index);
    if (w->streaming && item->image && item->error.code != BLIP2_OK)
        stream_drop(&w->stream);
    if (item->error.code == BLIP2_USAGE)
        w->final_code = report(&item->error);
    else if (!item->result || item->error.code != BLIP2_OK)
        write_failure(w, item);
    else
        write_success(w, item);
    w->ended = !out_flush();
}

static bool show_token(void *user, size_t index, int id, const char *text)
{
    Work *w = user;
    (void)index;
    (void)id;
    stream_add(&w->stream, text);
    return true;
}

/* The pictures that could be read, in one call. */
static blip2_result *compute(Work *w, Item *items, size_t count)
{
    blip2_error err = {0};
    blip2_item *asked = need_array(count, sizeof *asked);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        items[i].index = used;
        if (items[i].image) {
            asked[used] = w->request;
            asked[used++].image = items[i].image;
        }
    }
    blip2_result *result = !used              ? NULL
                           : w->choices.count ? blip2_rank(w->session, asked, used, w->choices.text,
                                                           w->choices.count, &err)
                                              : blip2_generate(w->session, asked, used, &err);
    for (size_t i = 0; i < count; i++)
        if (items[i].image) {
            items[i].result = result;
            items[i].error = err;
        }
    free(asked);
    return result;
}

static void free_images(Item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        blip2_image_free(items[i].image);
        items[i].image = NULL;
    }
}

static size_t pixels(const blip2_image *image)
{
    return (size_t)blip2_image_width(image) * (size_t)blip2_image_height(image);
}

static bool no_memory(const Item *item)
{
    const blip2_error *e =
        item->result ? blip2_result_error(item->result, item->index) : &item->error;
    return e->code == BLIP2_MEMORY;
}

/* Standard input and pipes are not. */
static bool can_be_read_again(const char *path)
{
    return strcmp(path, "-") != 0 && is_regular(path);
}

/* Reads the first pictures of a group, at least one; returns how many. One that finds no memory beside
 * those before it is left for later; what can be read only once comes alone. */
static size_t read_some(Item *items, char *const *paths, size_t count)
{
    size_t sum = 0, n = 0;
    while (n < count && (n == 0 || (sum < GROUP_PIXELS && can_be_read_again(paths[n])))) {
        Item *item = &items[n];
        *item = (Item){.path = paths[n]};
        item->image = open_operand(item->path, &item->error);
        if (sum > 0 && !item->image && no_memory(item))
            break;
        sum += can_be_read_again(item->path) ? pixels(item->image) : GROUP_PIXELS;
        n++;
    }
    return n;
}

static void do_alone(Work *w, char *path)
{
    Item item;
    read_some(&item, &path, 1);
    blip2_result *result = compute(w, &item, 1);
    write_item(w, &item);
    free_images(&item, 1);
    blip2_result_free(result);
}

/* What has been read: computed and written. */
static void compute_and_write(Work *w, Item *items, char *const *paths, size_t count)
{
    blip2_result *result = compute(w, items, count);
    if (count > 1)
        free_images(items, count);
    for (size_t i = 0; i < count && !w->final_code && !w->ended; i++)
        if (count > 1 && no_memory(&items[i]))
            do_alone(w, paths[i]);
        else
            write_item(w, &items[i]);
    free_images(items, count);
    blip2_result_free(result);
}

static void do_group(Work *w, char *const *paths, size_t count)
{
    Item *items = need_array(count, sizeof *items);
    for (size_t done = 0, n; done < count && !w->final_code && !w->ended; done += n) {
        n = read_some(items, paths + done, count - done);
        if (w->streaming && items[0].image)
            print_label(w, items[0].path);
        compute_and_write(w, items, paths + done, n);
    }
    free(items);
}

static int outcome(const Work *w)
{
    if (w->final_code)
        return w->final_code;
    if (w->failed == 0)
        return EXIT_OK;
    return w->done ? EXIT_SOME : w->first_code;
}

static int prepare(Work *w, const Args *args, const Runtime *runtime, blip2_task task)
{
    int code = make_request(args, runtime->model, task, &w->generation, &w->request);
    w->session = runtime->session;
    w->request.text = w->question;
    w->json = args->has[OPT_JSON];
    w->streaming = !w->json && !w->choices.count && out_is_terminal() &&
                   w->generation.num_captions <= 1 && args_whole(args, OPT_BATCH, 1) == 1;
    w->group = w->streaming ? 1 : (size_t)args_whole(args, OPT_BATCH, GROUP);
    if (w->streaming) {
        w->request.on_token = show_token;
        w->request.user = w;
    }
    return code ? code : check_request(args, runtime, &w->request);
}

static void do_all(Work *w, const Pictures *p)
{
    size_t count = p->count;
    for (size_t i = 0; !w->final_code && !w->ended && i < count; i += w->group) {
        if (w->many && !out_is_terminal())
            progress("%zu of %zu pictures", i, count);
        do_group(w, p->paths + i, count - i < w->group ? count - i : w->group);
    }
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
        w.many = pictures.many;
        do_all(&w, &pictures);
        pictures_free(&pictures);
    }
    choices_free(&w.choices);
    runtime_close(&runtime);
    return code ? code : outcome(&w);
}
