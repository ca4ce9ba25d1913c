/* blip2 ask IMAGE... QUESTION */
#include "answer.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <string.h>
#include <sys/stat.h>

/* A question that was forgotten, or stands in front. */
static bool is_file(const char *word)
{
    struct stat st;
    return strcmp(word, "-") == 0 || (stat(word, &st) == 0 && S_ISREG(st.st_mode));
}

int run_ask(const Args *args)
{
    size_t pictures = (size_t)args->count - 1;
    const char *question = args->operands[pictures];
    if (is_file(question))
        return usage_error("ask: expected the question behind the pictures, got the file %s",
                           question);
    int code = check_text("question", question);
    return code ? code : answer_pictures(args, BLIP2_ASK, question, args->operands, pictures);
}
