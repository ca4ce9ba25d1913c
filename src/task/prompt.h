/* task/prompt.h: from what the user said to the ids that stand behind the picture. For the engine; the ids
 * are those of the chosen library, which the tests compare. */
#ifndef TASK_PROMPT_H
#define TASK_PROMPT_H

#include "task/generate.h"
#include "text/tokenizer.h"

typedef enum Task { TASK_CAPTION, TASK_ASK, TASK_CHAT } Task;

typedef struct Turn {
    const char *question, *answer;
} Turn;

typedef struct PromptSpec {
    Task task;
    Library library;
    const char *text;   /* the question; NULL for caption */
    const char *prompt; /* NULL: the task's own. Otherwise caption: the prompt; ask, chat: a
                             template in which {} stands for the question */
    bool raw;           /* prompt (or text, when there is none) as it is */
    const Turn *turns;  /* chat: rounds so far, oldest first */
    size_t n_turns;
    const char *model_prompt; /* the checkpoint's caption prompt */
    int room; /* ids that fit: the model's positions less image and what is to be generated */
    int cut;  /* caption and ask are cut on the right to so many ids; 0: not */
} PromptSpec;

/* LAVIS cuts OPT's prompts to max_txt_len ids, the start id included (blip2_opt.py). */
enum { LAVIS_PROMPT_IDS = 32 };

/* The ids into out, which is empty before. `notice` receives one line when something was left out,
 * else "". caption and ask are cut to s->cut ids. chat: never cut, the oldest
 * rounds are dropped until it fits. Errors: ERR_FAILED (does not fit), ERR_USAGE (a template
 * without {}, invalid UTF-8, no question), ERR_MEMORY. */
bool prompt_ids(const PromptSpec *s, const Tokenizer *t, Ids *out, char notice[256], Error *e);

#endif
