/* blip2 ask IMAGE... QUESTION */
#include "answer.h"
#include "operands.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <string.h>

/* Words that are no pictures and do not look like names of some: a question without quotes. */
static bool are_words(char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_picture(words[i]) || strpbrk(words[i], "./ "))
            return false;
    return count > 0;
}

/* The usual slips: the question first, forgotten, or not in quotes. 0, or EXIT_USAGE after one line. */
static int check_order(char *const *operands, size_t pictures)
{
    const char *last = operands[pictures];
    if (is_picture(last) && !is_picture(operands[0]))
        return usage_error(
            "ask: expected IMAGE... QUESTION, got the picture %s last: blip2 ask %s \"%s\"", last,
            last, operands[0]);
    if (is_picture(last))
        return usage_error("ask: expected the question behind the pictures, got the picture %s",
                           last);
    if (is_picture(operands[0]) && !strchr(last, ' ') && are_words(operands + 1, pictures - 1))
        return usage_error(
            "ask: expected IMAGE... QUESTION with the question in quotes, got %zu words: blip2 "
            "ask %s \"%s %s...\"",
            pictures, operands[0], operands[1], pictures > 2 ? operands[2] : last);
    return 0;
}

int run_ask(const Args *args)
{
    size_t last = (size_t)args->count - 1;
    if (args->has[OPT_RAW_PROMPT] &&
        (last == 0 || is_picture(args->operands[last]))) /* no question */
        return answer_pictures(args, BLIP2_ASK, NULL, args->operands, last + 1);
    int code = check_text("question", args->operands[last]);
    if (!code)
        code = check_order(args->operands, last);
    if (code)
        return code;
    return answer_pictures(args, BLIP2_ASK, args->operands[last], args->operands, last);
}
