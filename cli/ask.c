/* blip2 ask IMAGE... QUESTION */
#include "answer.h"
#include "session.h"
#include "verbs.h"

int run_ask(const Args *args)
{
    size_t pictures = (size_t)args->count - 1;
    int code = check_text("question", args->operands[pictures]);
    if (code)
        return code;
    return answer_pictures(args, BLIP2_ASK, args->operands[pictures], args->operands, pictures);
}
