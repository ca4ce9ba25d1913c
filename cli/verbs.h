/* verbs.h: one function per command, each in the file of its name. They return the exit code. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "options.h"

int run_caption(const Args *args);
int run_ask(const Args *args);
int run_chat(const Args *args);
int run_match(const Args *args);
int run_embed(const Args *args);
int run_list(const Args *args);
int run_pull(const Args *args);
int run_show(const Args *args);
int run_convert(const Args *args);
int run_quantize(const Args *args);
int run_doctor(const Args *args);
int run_data(const Args *args);
int run_score(const Args *args);
int run_config(const Args *args);
int run_bench(const Args *args);
int run_debug_tokenize(const Args *args);
int run_debug_detokenize(const Args *args);
int run_debug_preprocess(const Args *args);
int run_debug_run(const Args *args);
int run_help(const Args *args);
int run_version(const Args *args);

#endif
