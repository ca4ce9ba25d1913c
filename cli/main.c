/* The command blip2: reads the line, runs one of verbs[]. */
#include "cut_short.h"
#include "options.h"
#include "output.h"

#include <locale.h>
#include <signal.h>

int main(int argc, char **argv)
{
    Args args;
    /* LC_CTYPE only: line editing needs it, and numbers must keep their point. */
    setlocale(LC_CTYPE, "");
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
