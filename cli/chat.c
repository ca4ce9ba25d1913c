/* blip2 chat IMAGE: a dialogue about a picture. Each round is kept and goes to the model with the
 * next question; the library drops the oldest when the model's positions run out. */
#define _GNU_SOURCE
#include "answer.h"
#include "editor.h"
#include "image.h"
#include "json.h"
#include "memory.h"
#include "output.h"
#include "path.h"
#include "session.h"
#include "stream.h"
#include "terminal.h"
#include "text.h"
#include "verbs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Chat {
    const Args *args;
    Runtime runtime;
    blip2_options generation;
    blip2_item request;
    blip2_image *image; /* NULL: the last one asked for could not be opened */
    char *path;         /* of image, or of what could not be opened */
    blip2_turn *turns;
    size_t turn_count, turn_capacity;
    Stream stream;
    bool interactive, streaming, json;
    size_t answered, failed;
    int first_code;
} Chat;

static volatile sig_atomic_t interrupted;

/* The first Control-C ends the answer at its next token, with beams at the next step of the search; the
 * second ends the program. */
static void on_interrupt(int signal_number)
{
    if (interrupted)
        terminal_die(signal_number);
    interrupted = 1;
}

static void forget(Chat *c)
{
    for (size_t i = 0; i < c->turn_count; i++) {
        free((char *)c->turns[i].question);
        free((char *)c->turns[i].answer);
    }
    c->turn_count = 0;
}

static void remember(Chat *c, const char *question, const char *answer)
{
    c->turns = need_room(c->turns, &c->turn_capacity, c->turn_count + 1, sizeof *c->turns);
    c->turns[c->turn_count++] = (blip2_turn){need_copy(question), need_copy(answer)};
}

static void failure(Chat *c, const blip2_error *err)
{
    if (c->json)
        out_json(failure_json(c->path ? c->path : "", err->message));
    complain("%s", err->message);
    if (c->failed++ == 0)
        c->first_code = exit_code(err);
}

/* When it cannot be read there is none: an answer about the one before would pass for one about this. */
static bool take_picture(Chat *c, const char *path)
{
    blip2_error err = {0};
    blip2_image *image = open_image(path, &err);
    blip2_image_free(c->image);
    free(c->path);
    c->image = image;
    c->path = need_copy(path);
    forget(c);
    if (!image) {
        failure(c, &err);
        return false;
    }
    if (c->interactive) {
        out_text(out_dim());
        out_plain(path);
        out_print(", %d x %d pixels%s\n", blip2_image_width(image), blip2_image_height(image),
                  out_normal());
    }
    return true;
}

static bool show_token(void *user, size_t index, int id, const char *text)
{
    Chat *c = user;
    (void)index;
    (void)id;
    if (c->streaming)
        stream_add(&c->stream, text);
    return !interrupted;
}

static void write_answer(Chat *c, const char *question, const blip2_result *result)
{
    const char *text = blip2_result_text(result, 0), *notice = blip2_result_notice(result, 0);
    if (c->json) {
        out_json(answer_json(c->path, question, result, 0));
    } else if (c->streaming) {
        stream_end(&c->stream, text);
    } else {
        out_plain(text);
        out_text("\n");
    }
    if (notice)
        complain("%s", notice);
    remember(c, question, text);
    c->answered++;
}

/* A stopped answer stands on the terminal as far as it came and is not remembered. */
static void write_stopped(Chat *c)
{
    if (c->json)
        out_json(failure_json(c->path, "stopped"));
    else
        out_print("%s [stopped]%s\n", out_dim(), out_normal());
}

/* NULL: err says why. A batch of one item is stepped here, so that an interruption is seen between two
 * steps of a beam search, whose callback hears nothing before the end. */
static blip2_result *generate(Chat *c, blip2_error *err)
{
    size_t ticket = 0;
    blip2_result *result = NULL;
    blip2_batch *batch = blip2_batch_new(c->runtime.session, err);
    if (batch && blip2_batch_join(batch, &c->request, 1, &ticket, err)) {
        while (!interrupted && blip2_batch_step(batch) > 0) {
        }
        result = blip2_batch_leave(batch, ticket, err);
    }
    blip2_batch_free(batch);
    return result;
}

static blip2_result *generate_interruptibly(Chat *c, blip2_error *err)
{
    struct sigaction own = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART}, before;
    interrupted = 0;
    sigemptyset(&own.sa_mask);
    sigaction(SIGINT, &own, &before);
    blip2_result *result = generate(c, err);
    sigaction(SIGINT, &before, NULL);
    return result;
}

static void ask_model(Chat *c, const char *question)
{
    blip2_error err = {0};
    const blip2_error *own;
    c->request.image = c->image;
    c->request.text = question;
    c->request.turns = c->turns;
    c->request.turn_count = c->turn_count;
    blip2_result *result = generate_interruptibly(c, &err);
    own = result ? blip2_result_error(result, 0) : &err;
    if (own->code == BLIP2_STOPPED)
        write_stopped(c);
    else if (own->code != BLIP2_OK)
        failure(c, own);
    else
        write_answer(c, question, result);
    stream_free(&c->stream);
    blip2_result_free(result);
}

static void refuse(Chat *c, blip2_error_code code, const char *why)
{
    blip2_error err = {.code = code};
    snprintf(err.message, sizeof err.message, "%s", why);
    failure(c, &err);
}

/* The first byte that is not UTF-8, or a NUL: what stands before that is not what was asked. */
static void refuse_byte(Chat *c, const char *question, long at)
{
    char wrong[128];
    refuse(c, BLIP2_USAGE, fault_text(wrong, "question", question, at));
}

/* What is wrong with a question before the model sees it. */
static void ask(Chat *c, const char *question)
{
    long fault = utf8_fault(question);
    if (fault >= 0)
        refuse_byte(c, question, fault);
    else if (!c->image)
        refuse(c, BLIP2_FAILED,
               "question: expected a picture to ask about, got none; /image PATH opens one");
    else
        ask_model(c, question);
}

static void help(void)
{
    out_text("Type a question about the picture.\n"
             "  /image PATH   another picture, and a new dialogue; PATH may be quoted\n"
             "  /reset        forget the dialogue\n"
             "  /quit         end (so does Control-D)\n"
             "Control-C stops an answer (with beams nothing of it is shown); a stopped answer is\n"
             "not remembered.\n");
}

/* Whether line is the command `name`; *rest is what follows it. */
static bool is_command(const char *line, const char *name, const char **rest)
{
    size_t n = strlen(name);
    if (strncmp(line, name, n) != 0 || (line[n] && !strchr(" \t\r", line[n])))
        return false;
    *rest = line + n + strspn(line + n, " \t\r");
    return true;
}

/* Standard input is where the questions come from. */
static void change_picture(Chat *c, const char *typed)
{
    char *path = typed_path(typed);
    if (!*path)
        complain("/image: the path is missing");
    else if (strcmp(path, "-") == 0)
        complain("/image: -: expected a file, since standard input holds the questions");
    else
        take_picture(c, path);
    free(path);
}

/* false: the dialogue ends. */
static bool do_line(Chat *c, const char *line)
{
    static const char *const commands[] = {"image", "reset", "help", "quit", NULL};
    const char *rest, *near;
    line += strspn(line, " \t\r");
    if (!*line)
        return true;
    if (is_command(line, "/quit", &rest) || is_command(line, "/exit", &rest))
        return false;
    if (is_command(line, "/reset", &rest)) {
        forget(c);
    } else if (is_command(line, "/help", &rest)) {
        help();
    } else if (is_command(line, "/image", &rest)) {
        change_picture(c, rest);
    } else if (*line == '/') {
        near = nearest(line + 1, commands);
        complain("unknown command %s; %s%s", line, near ? "did you mean /" : "see /help",
                 near ? near : "");
    } else {
        ask(c, line);
    }
    return true;
}

static int talk(Chat *c)
{
    Editor *editor = editor_open("> ");
    const char *line;
    bool good = true;
    c->interactive = editor_is_interactive(editor);
    c->json = c->args->has[OPT_JSON];
    c->streaming = out_is_terminal() && !c->json && c->generation.num_captions <= 1;
    c->request.on_token = show_token;
    c->request.user = c;
    if (take_picture(c, c->args->operands[0])) {
        if (c->interactive)
            out_print("%s/help tells the commands%s\n", out_dim(), out_normal());
        while (good && out_flush() && (line = editor_line(editor)))
            if (editor_line_is_whole(editor))
                good = do_line(c, line);
            else
                refuse_byte(c, line, (long)strlen(line));
        if (c->interactive && good)
            out_text("\n");
    }
    if (editor_failed(editor) && c->failed++ == 0)
        c->first_code = EXIT_FAILED;
    editor_close(editor);
    return c->failed == 0 ? EXIT_OK : c->answered ? EXIT_SOME : c->first_code;
}

int run_chat(const Args *args)
{
    Chat c = {.args = args};
    if (strcmp(args->operands[0], "-") == 0)
        return usage_error("chat: -: expected a file, since standard input holds the questions");
    int code = runtime_open(&c.runtime, args);
    if (!code)
        code = make_request(args, c.runtime.model, BLIP2_CHAT, &c.generation, &c.request);
    c.request.text = "";
    if (!code)
        code = check_request(args, &c.runtime, &c.request);
    if (!code)
        code = talk(&c);
    forget(&c);
    free(c.turns);
    free(c.path);
    blip2_image_free(c.image);
    runtime_close(&c.runtime);
    return code;
}
