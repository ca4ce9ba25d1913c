/* session.h: what the options of a command mean to the library: the model, the session, how to
 * generate. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "options.h"

#include <blip2.h>

/* What a command computes with. */
typedef struct Runtime {
    blip2_model *model;
    blip2_session *session;
} Runtime;

/* Loads the model of -m and opens a session. Returns 0, or the exit code after one line on standard
 * error. Close in both cases. */
int runtime_open(Runtime *r, const Args *args);
/* The same with a model that is there already; the runtime owns it afterwards. */
int runtime_open_with(Runtime *r, const Args *args, blip2_model *model);
void runtime_close(Runtime *r);

blip2_dtype dtype_named(const char *name); /* BLIP2_AUTO: it is none */
blip2_dtype chosen_dtype(const Args *args);
blip2_load_options chosen_load(const Args *args); /* --dtype, --type, --vit, --llm */
blip2_library chosen_library(const Args *args, OptId id);
/* Changes what the user asked for. */
void apply_generation(const Args *args, blip2_options *o);
/* Task, options, prompt from the command line. options must live as long as the request; text and
 * turns are left to the caller. Returns 0 or EXIT_USAGE. */
int make_request(const Args *args, const blip2_model *model, blip2_task task,
                 blip2_options *generation, blip2_item *request);

/* What makes no sense whatever the picture is, said before one is opened: 0, or EXIT_USAGE after one line.
 * Then a line for each option that has no effect. */
int check_request(const Args *args, const Runtime *runtime, const blip2_item *request);

/* A text for the model must be UTF-8: 0, or EXIT_USAGE after one line that names `what`. */
int check_text(const char *what, const char *text);

/* The exit code of an error that ends the command. */
int exit_code(const blip2_error *err);
/* complain(), then the exit code. */
int report(const blip2_error *err);

#endif
