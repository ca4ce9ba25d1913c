/* options.h: the one table of options and the one table of commands. Parsing, --help, the man page
 * and the shell completions are all made from them: a new option is one line in options.c, a new
 * command one entry in verbs.c and a file of its own. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum VerbId {
    VERB_CAPTION,
    VERB_ASK,
    VERB_CHAT,
    VERB_MATCH,
    VERB_EMBED,
    VERB_LIST,
    VERB_PULL,
    VERB_SHOW,
    VERB_CONVERT,
    VERB_QUANTIZE,
    VERB_DOCTOR,
    VERB_DATA,
    VERB_SCORE,
    VERB_CONFIG,
    VERB_BENCH,
    VERB_TOKENIZE,
    VERB_DETOKENIZE,
    VERB_PREPROCESS,
    VERB_RUN,
    VERB_HELP,
    VERB_VERSION,
    VERB_COUNT
} VerbId;

typedef enum OptId {
    OPT_MODEL,
    OPT_TYPE,
    OPT_VIT,
    OPT_LLM,
    OPT_TO,
    OPT_DTYPE,
    OPT_THREADS,
    OPT_DEVICE,
    OPT_PROMPT,
    OPT_RAW_PROMPT,
    OPT_GENERATION,
    OPT_NUM_BEAMS,
    OPT_MAX_NEW_TOKENS,
    OPT_MIN_NEW_TOKENS,
    OPT_MAX_LENGTH,
    OPT_MIN_LENGTH,
    OPT_LENGTH_PENALTY,
    OPT_REPETITION_PENALTY,
    OPT_NO_REPEAT_NGRAM,
    OPT_EARLY_STOPPING,
    OPT_NUM_CAPTIONS,
    OPT_SAMPLE,
    OPT_TOP_K,
    OPT_TOP_P,
    OPT_TEMPERATURE,
    OPT_SEED,
    OPT_JSON,
    OPT_BATCH,
    OPT_RECURSIVE,
    OPT_LIBRARY,
    OPT_SIZE,
    OPT_KIND,
    OPT_POOL,
    OPT_CHOICES,
    OPT_U8,
    OPT_OUTPUT,
    OPT_PIXELS,
    OPT_IDS,
    OPT_DECODER_IDS,
    OPT_DUMP,
    OPT_GENERATE,
    OPT_SYNTHETIC,
    OPT_REPEAT,
    OPT_MEASURE,
    OPT_ROOT,
    OPT_SPLIT,
    OPT_DEEP,
    OPT_YES,
    OPT_MERGE,
    OPT_ONLY_PREDICTED,
    OPT_PTB_JAR,
    OPT_METEOR_JAR,
    OPT_SPICE_JAR,
    OPT_LEMMATIZE,
    OPT_LEMMATIZER,
    OPT_CFG_PATH,
    OPT_OPTIONS,
    OPT_KEYS,
    OPT_PROFILE,
    OPT_FAIL_ALLOC,
    OPT_HELP,
    OPT_VERSION,
    OPT_COUNT
} OptId;

typedef enum OptKind {
    KIND_FLAG,
    KIND_TEXT,
    KIND_FILE,   /* text, completed as a file */
    KIND_FOLDER, /* text, completed as a folder */
    KIND_CHOICE, /* one of the words of `argument`, separated by | */
    KIND_WHOLE,  /* low..high, whole */
    KIND_REAL,   /* low..high */
    KIND_SEED,   /* 0..2^64-1 */
    KIND_WORDS   /* all words up to the next option; several times: one after another */
} OptKind;

typedef struct Option {
    const char *name; /* without the dashes */
    char letter;      /* short form, 0: none */
    OptKind kind;
    const char *argument; /* NULL for flags */
    double low, high;
    unsigned verbs;    /* bit 1 << VerbId for each command that takes it */
    const char *group; /* heading in --help; NULL: not shown */
    const char *help;
} Option;

extern const Option options[OPT_COUNT];

/* Other words for those of a choice: accepted, completed and documented beside them. */
typedef struct Synonym {
    OptId option;
    const char *word, *means;
} Synonym;

extern const Synonym synonyms[]; /* ends with a NULL word */

/* The word of the choice that `word` is or stands for; NULL: it is none. */
const char *choice_word(OptId id, const char *word);
/* Everything that --help says about it in a command (VERB_COUNT: in general), synonyms included. */
const char *option_help(OptId id, VerbId verb, char buffer[1024]);

/* By name without dashes or by letter; OPT_COUNT: none. name need not be terminated. */
OptId option_named(const char *name, size_t n);
OptId option_lettered(char letter);
bool option_fits(OptId id, VerbId verb);
/* Groups in the order of --help, ends with NULL. */
extern const char *const option_groups[];

typedef struct Args Args;

typedef struct Example {
    const char *command, *what;
} Example;

typedef struct Verb {
    const char *name;     /* "caption"; plumbing has two words: "debug run" */
    const char *operands; /* "IMAGE..." */
    int least, most;      /* number of operands; most -1: any */
    const char *summary;  /* one line, for lists */
    const char *details;  /* paragraphs, separated by \n */
    int (*run)(const Args *args);
    Example examples[7];
} Verb;

extern const Verb verbs[VERB_COUNT];

/* A command by its words ("debug run" takes two); *used: words taken. VERB_COUNT: none. */
VerbId verb_named(char *const *words, int count, int *used);

bool verb_is_plumbing(VerbId verb); /* debug ... */

typedef struct Words {
    const char **list; /* room for all words of the command line; args_free frees it */
    size_t count;
} Words;

typedef union Value {
    const char *text;
    long whole;
    double real;
    uint64_t seed;
    Words words;
} Value;

struct Args {
    VerbId verb;
    bool has[OPT_COUNT];
    Value value[OPT_COUNT];
    char **operands;
    int count;
};

/* Reads the command line. Options may stand anywhere, "--" ends them. Returns 0, or EXIT_USAGE after
 * one line on standard error. --help and --version are turned into their commands. Free with
 * args_free. */
int args_parse(Args *args, int argc, char **argv);
void args_free(Args *args);

const char *args_text(const Args *args, OptId id, const char *otherwise);
long args_whole(const Args *args, OptId id, long otherwise);

/* The candidate nearest to word, NULL when none is near. Ends with NULL. */
const char *nearest(const char *word, const char *const *candidates);

#endif
