/* editor.c: lines with libedit, where it is there, and without; the file of the history. */
#define _GNU_SOURCE
#include "editor.h"

#include "line.h"
#include "memory.h"
#include "output.h"
#include "path.h"
#include "terminal.h"

#include <blip2_debug.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#ifdef HAVE_LIBEDIT
#include <histedit.h>
#endif

enum { REMEMBERED = 1000 };

struct Editor {
    const char *prompt;
    bool interactive;
    Line line;
#ifdef HAVE_LIBEDIT
    EditLine *edit;
    History *history;
    char *history_path; /* NULL: nowhere to keep it */
    FILE *no_messages;  /* where libedit's go */
#endif
};

bool editor_is_interactive(const Editor *e)
{
    return e->interactive;
}

bool editor_failed(const Editor *e)
{
    return e->line.failed;
}

bool editor_line_is_whole(const Editor *e)
{
    return strlen(e->line.text) == e->line.length;
}

/* Lines as they come; a prompt only for a person. */
static const char *plain_line(Editor *e)
{
    if (e->interactive) {
        out_text(e->prompt);
        out_flush();
    }
    return read_line(&e->line) ? e->line.text : NULL;
}

#ifdef HAVE_LIBEDIT

/* Makes the folders of path, for this user only. */
static bool make_folders(char *path)
{
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
        *p = '/';
        if (!ok)
            return false;
    }
    return true;
}

static char *history_path(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path;
    if (state && *state == '/')
        path = need_format("%s/blip2/chat_history", state);
    else if (home && *home == '/')
        path = need_format("%s/.local/state/blip2/chat_history", home);
    else
        return NULL;
    if (!make_folders(path)) {
        free(path);
        return NULL;
    }
    return path;
}

/* The history in libedit's format, which writes to no file without a descriptor. */
static char *history_text(const Editor *e, size_t *n)
{
    HistEvent event;
    int fd = memfd_create("history", MFD_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(fd, "w+") : NULL;
    char *text = NULL;
    long size = f && history(e->history, &event, H_SAVE_FP, f) >= 0 ? ftell(f) : -1;
    if (size >= 0) {
        rewind(f);
        text = need_array((size_t)size + 1, 1);
        *n = fread(text, 1, (size_t)size, f);
    }
    if (f)
        fclose(f);
    else if (fd >= 0)
        close(fd);
    return text;
}

/* Whole or not at all; a new one is for this user only: what was asked is nobody else's business. */
static void save_history(const Editor *e)
{
    size_t n = 0;
    char *text = history_text(e, &n);
    int fd = open(e->history_path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd >= 0)
        close(fd);
    if (text && is_regular(e->history_path))
        blip2_debug_write(e->history_path, text, n, NULL);
    free(text);
}

/* The user's own settings of libedit, as el_source(e, NULL) finds them. As for the history, a pipe of that
 * name would be waited for, and a device never end. */
static void read_settings(EditLine *edit)
{
    const char *own = getenv("EDITRC"), *home = getenv("HOME");
    char *path = own ? need_copy(own) : home ? need_format("%s/.editrc", home) : NULL;
    if (path && is_regular(path))
        el_source(edit, path);
    free(path);
}

static char *show_prompt(EditLine *edit)
{
    Editor *e;
    el_get(edit, EL_CLIENTDATA, &e);
    return (char *)e->prompt;
}

/* Control-C gives the line up: it is taken off and an empty one is read. */
static unsigned char give_up(EditLine *edit, int c)
{
    (void)c;
    const LineInfo *info = el_line(edit);
    el_cursor(edit, (int)(info->lastchar - info->cursor));
    el_deletestr(edit, (int)(info->lastchar - info->buffer));
    el_push(edit, "\n");
    return CC_REDISPLAY;
}

/* Control-Z: while a line is edited it is a key, and no signal comes of it. */
static unsigned char suspend(EditLine *edit, int c)
{
    (void)edit;
    (void)c;
    terminal_suspend();
    terminal_resumed();
    return CC_REDISPLAY;
}

/* The next byte: 1; 0 at the end of input, -1 when there is none to be had. A line that was left alone
 * for a while is shown again. libedit's own reading takes a signal for the end of the line. */
static ssize_t read_byte(EditLine *edit, char *byte)
{
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        terminal_reading(true);
        ssize_t n = read(STDIN_FILENO, byte, 1);
        if (n >= 0 || (errno != EINTR && errno != EAGAIN))
            return n;
        if (errno == EAGAIN)
            poll(&ready, 1, -1);
        if (terminal_resumed())
            el_set(edit, EL_REFRESH);
    }
}

/* One character; bytes that are none in this locale are left out. */
static int read_key(EditLine *edit, wchar_t *key)
{
    char bytes[MB_LEN_MAX];
    for (size_t n = 0;;) {
        mbstate_t state = {0};
        ssize_t got = read_byte(edit, bytes + n);
        if (got <= 0)
            return (int)got;
        size_t length = mbrtowc(key, bytes, ++n, &state);
        if (length <= n)
            return 1;
        if (length == (size_t)-1 || n == sizeof bytes)
            n = 0;
    }
}

static void open_history(Editor *e)
{
    HistEvent event;
    e->history = history_init();
    e->history_path = history_path();
    if (!e->history)
        return;
    history(e->history, &event, H_SETSIZE, REMEMBERED);
    history(e->history, &event, H_SETUNIQUE, 1);
    if (e->history_path && is_regular(e->history_path))
        history(e->history, &event, H_LOAD, e->history_path);
    el_set(e->edit, EL_HIST, history, e->history);
}

static void open_edit(Editor *e)
{
    terminal_keep();
    /* Its messages quote $TERM and the user's settings as they are. */
    e->no_messages = fopen("/dev/null", "we");
    e->edit = e->no_messages ? el_init("blip2", stdin, stdout, e->no_messages) : NULL;
    if (!e->edit)
        return;
    el_set(e->edit, EL_CLIENTDATA, e);
    el_set(e->edit, EL_PROMPT, show_prompt);
    el_set(e->edit, EL_EDITOR, "emacs");
    /* el_set would leak the two names: it hands copies on that nobody frees. */
    el_wset(e->edit, EL_ADDFN, L"give-up-line", L"give the line up", give_up);
    el_set(e->edit, EL_BIND, "^C", "give-up-line", NULL);
    el_wset(e->edit, EL_ADDFN, L"suspend", L"stop the program", suspend);
    el_set(e->edit, EL_BIND, "^Z", "suspend", NULL);
    el_wset(e->edit, EL_GETCFN, read_key);
    el_set(e->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    /* While a line is edited Control-C is a key; while an answer is generated it is a signal. */
    el_set(e->edit, EL_SETTY, "-d", "-isig", NULL);
    open_history(e);
    read_settings(e->edit);
}

static const char *edited_line(Editor *e)
{
    HistEvent event;
    int n = 0;
    const char *line = el_gets(e->edit, &n);
    terminal_reading(false);
    if (!line || n <= 0)
        return NULL;
    Line *l = &e->line;
    l->length = (size_t)n - (line[n - 1] == '\n');
    l->text = need_room(l->text, &l->capacity, l->length + 1, 1);
    memcpy(l->text, line, l->length);
    l->text[l->length] = '\0';
    if (e->history && l->text[strspn(l->text, " \t")])
        history(e->history, &event, H_ENTER, l->text);
    return l->text;
}

static void close_edit(Editor *e)
{
    if (e->edit)
        el_end(e->edit);
    terminal_give_back();
    if (e->history) {
        if (e->history_path)
            save_history(e);
        history_end(e->history);
    }
    if (e->no_messages)
        fclose(e->no_messages);
    free(e->history_path);
}

#endif

Editor *editor_open(const char *prompt)
{
    Editor *e = need_array(1, sizeof *e);
    e->prompt = prompt;
    e->interactive = isatty(STDIN_FILENO) && out_is_terminal();
#ifdef HAVE_LIBEDIT
    if (e->interactive)
        open_edit(e);
#endif
    return e;
}

const char *editor_line(Editor *e)
{
#ifdef HAVE_LIBEDIT
    if (e->edit)
        return edited_line(e);
#endif
    return plain_line(e);
}

void editor_close(Editor *e)
{
#ifdef HAVE_LIBEDIT
    close_edit(e);
#endif
    free(e->line.text);
    free(e);
}

const char *editor_kind(void)
{
#ifdef HAVE_LIBEDIT
    return "libedit";
#else
    return "none";
#endif
}
