/* blip2 ask IMAGE... QUESTION */
#include "answer.h"
#include "verbs.h"

int run_ask(const Args *args)
{
    size_t pictures = (size_t)args->count - 1;
    return answer_pictures(args, BLIP2_ASK, args->operands[pictures], args->operands, pictures);
}
