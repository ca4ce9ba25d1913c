/* The command blip2: reads the line, runs one of verbs[]. */
#include "cut_short.h"
#include "options.h"
#include "output.h"

#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

/* LC_CTYPE only: line editing needs it, and numbers must keep their point. In a locale that is not UTF-8
 * (a container's, an ssh without LANG) it would drop what is typed beyond ASCII. */
static void choose_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

int main(int argc, char **argv)
{
    Args args;
    choose_locale();
    /* A closed pipe is seen as a failed write, and what was being done is put away in order. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* and so is a file that may grow no further */
    watch_mapped_files();
    int code = args_parse(&args, argc, argv);
    if (code == 0)
        code = verbs[args.verb].run(&args);
    args_free(&args);
    return out_finish(code);
}
