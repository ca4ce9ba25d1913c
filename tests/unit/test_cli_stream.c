/* cli/stream.h on a terminal of a known width: what is shown while a text comes, and how a text that turns out
 * otherwise takes its place. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pty.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "output.h"
#include "stream.h"

enum { COLUMNS = 20 };

static int terminal, former;

static int make_terminal(void **state)
{
    (void)state;
    struct winsize size = {.ws_row = 5, .ws_col = COLUMNS};
    struct termios plain;
    int screen;
    if (openpty(&terminal, &screen, NULL, NULL, &size) != 0)
        return -1;
    tcgetattr(screen, &plain);
    cfmakeraw(&plain);
    tcsetattr(screen, TCSANOW, &plain);
    former = dup(STDOUT_FILENO);
    dup2(screen, STDOUT_FILENO);
    close(screen);
    return 0;
}

static int end_terminal(void **state)
{
    (void)state;
    dup2(former, STDOUT_FILENO);
    close(former);
    close(terminal);
    return 0;
}

/* What was written since. */
static void shown(const char *want)
{
    char got[256];
    out_flush();
    ssize_t n = strlen(want) ? read(terminal, got, sizeof got - 1) : 0;
    assert_true(n >= 0);
    got[n] = '\0';
    if (strcmp(got, want) != 0)
        fail_msg("shown \"%s\", expected \"%s\"", got, want);
}

static void pieces_and_the_end(void **state)
{
    (void)state;
    Stream s = {0};
    stream_add(&s, " a");
    shown("a");
    stream_add(&s, " ");
    shown("");
    stream_add(&s, "cat\033\xc3");
    shown(" cat \xef\xbf\xbd");
    stream_end(&s, "a cat\033\xc3");
    shown("\n");
    stream_end(&s, "nothing came before");
    shown("nothing came before\n");
}

/* A text as wide as the terminal may stand on two lines already: where the cursor goes then is up to the
 * terminal. */
static void another_text(void **state)
{
    (void)state;
    const char *words = "12345678901234567890";
    for (int n = COLUMNS - 2; n <= COLUMNS; n++) {
        char text[COLUMNS + 1];
        Stream s = {0}, behind = {.columns = 2}, dropped = {0};
        memcpy(text, words, (size_t)n);
        text[n] = '\0';
        stream_add(&s, text);
        shown(text);
        stream_end(&s, "other");
        shown(n < COLUMNS ? "\r\033[Kother\n" : "\nother\n");
        stream_add(&behind, text);
        shown(text);
        stream_end(&behind, "other"); /* not alone on its line */
        shown("\nother\n");
        stream_add(&dropped, text);
        shown(text);
        stream_drop(&dropped);
        shown(n < COLUMNS ? "\r\033[K" : "\n");
        assert_null(dropped.shown);
    }
    Stream behind = {.columns = 2};
    stream_add(&behind, "123456789012345678");
    shown("123456789012345678");
    stream_drop(&behind);
    shown("\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_and_the_end, make_terminal, end_terminal),
        cmocka_unit_test_setup_teardown(another_text, make_terminal, end_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
