/* task/defaults.h: how each task generates when nobody says otherwise, in each library. For api; the
 * only place where such a number stands. */
#ifndef TASK_DEFAULTS_H
#define TASK_DEFAULTS_H

#include "config/config.h"
#include "task/prompt.h"

/* LAVIS: caption and chat as Blip2OPT.generate, ask as predict_answers (models/blip2_models/
 * blip2_opt.py). HF: the model's generation_config.json, or transformers' own (k NULL). */
GenOptions task_defaults(const ModelConfig *k, Task task, Library library);

#endif
