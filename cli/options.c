/* options.c: the table of options. */
#include "options.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BIT(verb) (1u << VERB_##verb)
#define PICTURES \
    (BIT(CAPTION) | BIT(ASK) | MEASURES) /* their operands are pictures, folders and URLs */
#define MEASURES  (BIT(MATCH) | BIT(EMBED))
#define ANSWERS   (BIT(CAPTION) | BIT(ASK) | BIT(CHAT))
#define GENERATES (ANSWERS | BIT(RUN))
#define COMPUTES  (GENERATES | MEASURES | BIT(BENCH))
#define WRITES    (BIT(CONVERT) | BIT(QUANTIZE))
#define PIECES    (COMPUTES | BIT(SHOW) | WRITES) /* LAVIS' files may need others */
#define ALL       ((1u << VERB_COUNT) - 1)

static const char model_group[] = "Model";
static const char prompt_group[] = "Prompt";
static const char search_group[] = "Generation";
static const char sample_group[] = "Sampling";
static const char output_group[] = "Output";
static const char debug_group[] = "Input";
static const char bench_group[] = "Measuring";
static const char score_group[] = "Scoring";
static const char config_group[] = "Configuration";
static const char data_group[] = "Data";
static const char other_group[] = "Help";

const char *const option_groups[] = {debug_group,  model_group,  prompt_group, search_group,
                                     sample_group, bench_group,  score_group,  config_group,
                                     data_group,   output_group, other_group,  NULL};

/* clang-format off: one option, one block */
const Option options[OPT_COUNT] = {
    [OPT_MODEL] =
        {"model", 'm', KIND_FILE, "DIR|FILE|NAME", 0, 0,
         ANSWERS | MEASURES | BIT(BENCH) | BIT(SHOW), model_group,
         "a Hugging Face directory, a packed file or LAVIS' .pth, or a name: of the model that "
         "came with the program, or of one that blip2 pull has fetched (default: the "
         "embedded model, scenes)"},
    [OPT_TYPE] = {"type", 0, KIND_TEXT, "NAME", 0, 0, PIECES, model_group,
                  "of LAVIS' files: which published model it is, e.g. blip2_opt/pretrain_opt2.7b "
                  "(default: the file's name and what is in it tell)"},
    [OPT_VIT] =
        {"vit", 0, KIND_FILE, "FILE", 0, 0, PIECES, model_group,
         "of LAVIS' files: the base vision tower, eva_vit_g.pth or clip_vit_L.pth (default: "
         "beside the model's file, or where LAVIS keeps its downloads)"},
    [OPT_LLM] =
        {"llm", 0, KIND_FOLDER, "DIR|REPO", 0, 0, PIECES, model_group,
         "of LAVIS' files: the language model (default: beside the model's file, or in Hugging "
         "Face's cache)"},
    [OPT_TO] =
        {"to", 0, KIND_CHOICE, "packed|hf|lavis|int8|int4|mixed", 0, 0, WRITES, output_group,
         "convert: one file with everything (the default), a directory for transformers, or a "
         "file with LAVIS' names; quantize: how small the weights become in one file with "
         "everything (default int8)"},
    [OPT_DTYPE] =
        {"dtype", 0, KIND_CHOICE, "f32|bf16|f16|int8|int4|mixed", 0, 0,
         COMPUTES | BIT(SHOW) | BIT(CONVERT), model_group,
         "f32: weights as stored, products and sums in f32 (bit for bit the same everywhere in "
         "text); bf16, f16: reduced products allowed; int8, int4 (the language model's layers), "
         "mixed (those of them that bear it): quantised while loading, or while converting "
         "(default: weights as stored, the fastest kernels for them)"},
    [OPT_THREADS] = {"threads", 't', KIND_WHOLE, "N", 1, 1024, COMPUTES | BIT(DOCTOR), model_group,
                     "threads to compute with (default: all processors this process may use)"},
    [OPT_DEVICE] = {"device", 0, KIND_TEXT, "auto|cpu|cuda[:N]", 0, 0, COMPUTES | BIT(DOCTOR),
                    model_group,
                    "what to compute on: the CPU, or card N (0) of NVIDIA's, for which the module "
                    "libblip2-cuda.so must be "
                    "installed; auto: card 0 where there is one with room, else the CPU (default: "
                    "$BLIP2_DEVICE, else auto)"},

    [OPT_PROMPT] = {"prompt", 'p', KIND_TEXT, "TEXT", 0, 0, ANSWERS, prompt_group,
                    "caption: the beginning of the caption; ask, chat: the template, {} is the "
                    "question (default: the model's own, \"Question: {} Answer:\")"},
    [OPT_RAW_PROMPT] = {"raw-prompt", 0, KIND_TEXT, "TEXT", 0, 0, ANSWERS, prompt_group,
                        "give TEXT to the model as it is, without a template"},

    [OPT_GENERATION] =
        {"generation", 'g', KIND_CHOICE, "lavis|hf", 0, 0, GENERATES, search_group,
         "whose rules and defaults: those of LAVIS (5 beams, the default) or of "
         "Hugging Face transformers (greedy, 20 new tokens, no template, and what the model's "
         "generation_config.json says)"},
    [OPT_NUM_BEAMS] = {"num-beams", 'b', KIND_WHOLE, "K", 1, 256, GENERATES, search_group,
                       "beams of the search; 1 is greedy (default 5; hf 1)"},
    [OPT_MAX_NEW_TOKENS] = {"max-new-tokens", 'n', KIND_WHOLE, "N", 1, 100000, GENERATES,
                            search_group,
                            "generate at most N tokens (default: caption, chat 29, ask 10; hf 20)"},
    [OPT_MIN_NEW_TOKENS] = {"min-new-tokens", 0, KIND_WHOLE, "N", 0, 100000, GENERATES,
                            search_group, "generate at least N tokens"},
    [OPT_MAX_LENGTH] = {"max-length", 0, KIND_WHOLE, "N", 1, 100000, GENERATES, search_group,
                        "the longest sequence as the chosen library counts it: lavis with the "
                        "start token, hf with prompt and picture; --max-new-tokens wins"},
    [OPT_MIN_LENGTH] = {"min-length", 0, KIND_WHOLE, "N", 0, 100000, GENERATES, search_group,
                        "the shortest sequence, counted in the same way"},
    [OPT_LENGTH_PENALTY] = {"length-penalty", 0, KIND_REAL, "X", -100, 100, GENERATES, search_group,
                            "beams are compared by score / length^X: above 0 favours long, below 0 "
                            "short (default 1; ask 0, hf 1)"},
    [OPT_REPETITION_PENALTY] = {"repetition-penalty", 0, KIND_REAL, "X", 1e-6, 1000, GENERATES,
                                search_group,
                                "above 1 makes tokens that were used less likely (default 1)"},
    [OPT_NO_REPEAT_NGRAM] = {"no-repeat-ngram", 0, KIND_WHOLE, "N", 0, 1000, GENERATES,
                             search_group,
                             "no N tokens in a row occur twice; 0 is off (the default)"},
    [OPT_EARLY_STOPPING] = {"early-stopping", 0, KIND_CHOICE, "true|false|never", 0, 0, GENERATES,
                            search_group,
                            "when the beam search ends: as soon as K beams are finished, when no "
                            "better one is likely, or when none is possible (default false)"},
    [OPT_NUM_CAPTIONS] =
        {"num-captions", 'c', KIND_WHOLE, "N", 1, 256, GENERATES, search_group,
         "texts for each picture, best first; needs as many beams, or --sample (default 1)"},

    [OPT_SAMPLE] = {"sample", 's', KIND_FLAG, NULL, 0, 0, GENERATES, sample_group,
                    "draw tokens by chance instead of taking the likeliest; 1 beam unless "
                    "--num-beams is given"},
    [OPT_TOP_K] = {"top-k", 0, KIND_WHOLE, "K", 0, 10000000, GENERATES, sample_group,
                   "draw from the K likeliest tokens; 0: from all (default 50)"},
    [OPT_TOP_P] = {"top-p", 0, KIND_REAL, "P", 1e-6, 1, GENERATES, sample_group,
                   "draw from the likeliest tokens that together have probability P (default: "
                   "caption, chat 0.9; ask, hf 1)"},
    [OPT_TEMPERATURE] = {"temperature", 0, KIND_REAL, "T", 1e-6, 1000, GENERATES, sample_group,
                         "below 1 is bolder on the likely tokens, above 1 more even (default 1)"},
    [OPT_SEED] = {"seed", 0, KIND_SEED, "N", 0, 0, GENERATES, sample_group,
                  "start of the random numbers; the same seed draws the same text (default 0)"},

    [OPT_SYNTHETIC] =
        {"synthetic", 0, KIND_TEXT, "TYPE", 0, 0, BIT(BENCH), bench_group,
         "no files needed: random weights in memory for a type of the zoo, e.g. blip2-opt-2.7b"},
    [OPT_REPEAT] = {"repeat", 0, KIND_WHOLE, "N", 1, 1000, BIT(BENCH), bench_group,
                    "measure each stage N times and give the median (default 5)"},

    [OPT_MEASURE] =
        {"measure", 0, KIND_FLAG, NULL, 0, 0, BIT(DOCTOR), bench_group,
         "choose the kernels anew by what is measured now, and store that in place of an earlier "
         "choice; on an idle machine"},

    [OPT_PROFILE] = {"profile", 0, KIND_FLAG, NULL, 0, 0, PICTURES | BIT(BENCH), bench_group,
                     "say on standard error, at the end, where the time went: by stage and by kind "
                     "of operation"},

    [OPT_LIBRARY] = {"library", 0, KIND_CHOICE, "lavis|hf", 0, 0,
                     BIT(PREPROCESS) | BIT(RUN) | MEASURES, debug_group,
                     "prepare a picture, and for match and embed a text, as LAVIS (the default) or "
                     "as transformers does"},
    [OPT_SIZE] = {"size", 0, KIND_WHOLE, "S", 1, 4096, BIT(PREPROCESS), debug_group,
                  "width and height after the resize (default 224)"},
    [OPT_PIXELS] =
        {"pixels", 0, KIND_FILE, "X.NPY|IMAGE", 0, 0, BIT(RUN), debug_group,
         "needed: the picture, as float32 [3,H,W] that the network sees, or one to be prepared"},
    [OPT_IDS] =
        {"ids", 0, KIND_TEXT, "I,J,...", 0, 0, BIT(RUN), debug_group,
         "text token ids, start id included, without image placeholders; none: the picture alone"},
    [OPT_RECURSIVE] = {"recursive", 'r', KIND_FLAG, NULL, 0, 0, PICTURES, debug_group,
                       "of a folder also the pictures in the folders below it"},
    [OPT_DECODER_IDS] = {"decoder-ids", 0, KIND_TEXT, "I,J,...", 0, 0, BIT(RUN), debug_group,
                         "what the decoder of Flan-T5 is fed, the start id 0 in front"},
    [OPT_GENERATE] = {"generate", 0, KIND_FLAG, NULL, 0, 0, BIT(RUN), output_group,
                      "generate, and print {\"ids\": [[...]], \"scores\": [...]}; the defaults are "
                      "neutral: 1 beam, penalties 1, 20 new tokens"},
    [OPT_DUMP] = {"dump", 0, KIND_FOLDER, "DIR", 0, 0, BIT(RUN), output_group,
                  "write every activation of the pass over picture and ids to DIR/NAME.npy"},
    [OPT_KIND] =
        {"kind", 'k', KIND_CHOICE,
         "image_embeds_proj|image_embeds|text_embeds_proj|text_embeds|multimodal_embeds|vision|"
         "language_embeds",
         0, 0, BIT(EMBED), debug_group,
         "which features (default: image_embeds_proj, or image_embeds of a model without)"},
    [OPT_POOL] = {"pool", 0, KIND_CHOICE, "none|first|mean|max", 0, 0, BIT(EMBED), output_group,
                  "one row instead of all: the first, the mean, or the largest of each column "
                  "(default none)"},
    [OPT_CHOICES] = {"choices", 0, KIND_FILE, "FILE|A,B,C", 0, 0, BIT(ASK), output_group,
                     "rank these answers, one per line of a file or between commas, by how likely "
                     "the model finds them"},
    [OPT_U8] = {"u8", 0, KIND_FILE, "X.PPM", 0, 0, BIT(PREPROCESS), output_group,
                "write the picture after the resize, before normalisation"},
    [OPT_OUTPUT] = {"output", 'o', KIND_FILE, "FILE", 0, 0, BIT(PREPROCESS) | BIT(EMBED),
                    output_group,
                    "debug preprocess: write the normalised picture, float32 [3,S,S], as .npy; "
                    "embed: write a .npy, .safetensors "
                    "or .jsonl file (default: JSON lines on standard output)"},
    [OPT_JSON] =
        {"json", 'j', KIND_FLAG, NULL, 0, 0,
         ANSWERS | BIT(MATCH) | BIT(LIST) | BIT(PULL) | BIT(SHOW) | BIT(DOCTOR) | BIT(BENCH) |
             BIT(SCORE) | BIT(CONFIG) | BIT(DATA) | BIT(RUN),
         output_group,
         "JSON on standard output, one object per line; a file name that is not UTF-8 also "
         "stands there in base64 (\"image_bytes\", \"path_bytes\", ...)"},
    [OPT_BATCH] = {"batch", 0, KIND_WHOLE, "N", 1, 256,
                   BIT(CAPTION) | BIT(ASK) | BIT(MATCH) | BIT(EMBED), output_group,
                   "pictures computed together (default: caption, ask: 8 to 16, as many as have 40 "
                   "beams, 1 on a terminal; "
                   "match: 8 pairs; embed: 8). Results do not depend on it"},

    [OPT_ROOT] =
        {"root", 0, KIND_FOLDER, "DIR", 0, 0, BIT(DATA), data_group,
         "the folder of the data sets, LAVIS' cache_root (scenes: default, where they came "
         "with the program)"},
    [OPT_SPLIT] = {"split", 0, KIND_TEXT, "train|val|test", 0, 0, BIT(DATA), data_group,
                   "this one alone (default: all that the data set has)"},
    [OPT_DEEP] = {"deep", 0, KIND_FLAG, NULL, 0, 0, BIT(DATA), data_group,
                  "check: decode every picture, and compare published checksums"},
    [OPT_YES] = {"yes", 'y', KIND_FLAG, NULL, 0, 0, BIT(DATA), data_group,
                 "prepare: download what is missing without asking"},
    [OPT_MERGE] = {"merge", 0, KIND_FLAG, NULL, 0, 0, BIT(SCORE), score_group,
                   "several RESULT files are the shards of one result; of an id that is in several "
                   "the first entry counts"},
    [OPT_ONLY_PREDICTED] =
        {"only-predicted", 0, KIND_FLAG, NULL, 0, 0, BIT(SCORE), score_group,
         "captions: leave out pictures without a caption instead of refusing the result"},
    [OPT_PTB_JAR] =
        {"ptb-jar", 0, KIND_FILE, "FILE", 0, 0, BIT(SCORE), score_group,
         "captions: tokens by the original, stanford-corenlp-3.4.1.jar of pycocoevalcap, through "
         "java (default: the program's own tokenizer)"},
    [OPT_METEOR_JAR] = {"meteor-jar", 0, KIND_FILE, "FILE", 0, 0, BIT(SCORE), score_group,
                        "captions: METEOR by meteor-1.5.jar, through java"},
    [OPT_SPICE_JAR] = {"spice-jar", 0, KIND_FILE, "FILE", 0, 0, BIT(SCORE), score_group,
                       "captions: SPICE by spice-1.0.jar, its models beside it, through java"},
    [OPT_LEMMATIZE] = {"lemmatize", 0, KIND_FLAG, NULL, 0, 0, BIT(SCORE), score_group,
                       "answers: nouns and verbs become lemmas first, by rules: approximate"},
    [OPT_LEMMATIZER] = {"lemmatizer", 0, KIND_TEXT, "COMMAND", 0, 0, BIT(SCORE), score_group,
                        "answers: lemmas by a shell command that reads an answer a line and writes "
                        "a line for each"},
    [OPT_CFG_PATH] = {"cfg-path", 0, KIND_FILE, "FILE", 0, 0, BIT(CONFIG), config_group,
                      "the file, as LAVIS' scripts name it"},
    [OPT_OPTIONS] = {"options", 0, KIND_WORDS, "KEY=VALUE...", 0, 0, BIT(CONFIG), config_group,
                     "values over those of the file, e.g. run.num_beams=3 "
                     "datasets.gqa.type=balanced_val; or, as LAVIS "
                     "has it, too, KEY VALUE KEY VALUE"},
    [OPT_KEYS] = {"keys", 0, KIND_FLAG, NULL, 0, 0, BIT(CONFIG), config_group,
                  "all keys that a file may have, as a table in Markdown"},
    [OPT_FAIL_ALLOC] = {"fail-alloc", 0, KIND_WHOLE, "N", 0, 1e9,
                        COMPUTES | BIT(SHOW) | WRITES | BIT(PULL) | BIT(SCORE) | BIT(CONFIG) |
                            BIT(DATA),
                        NULL, "test hook: the N-th allocation of the library fails"},
    [OPT_HELP] = {"help", 'h', KIND_FLAG, NULL, 0, 0, ALL, other_group, "show this help"},
    [OPT_VERSION] = {"version", 'V', KIND_FLAG, NULL, 0, 0, ALL, other_group, "show the version"},
};
/* clang-format on */

/* The names of config.json's torch_dtype, and those that people say. */
const Synonym synonyms[] = {
    {OPT_DTYPE, "float32", "f32"}, {OPT_DTYPE, "fp32", "f32"}, {OPT_DTYPE, "bfloat16", "bf16"},
    {OPT_DTYPE, "float16", "f16"}, {OPT_DTYPE, "fp16", "f16"}, {OPT_DTYPE, "half", "f16"},
    {OPT_COUNT, NULL, NULL},
};

/* Words of choices that others write in other letters: BF16 in safetensors, True in Python. */
static const Synonym own_words[] = {
    {OPT_DTYPE, "f32", "f32"},
    {OPT_DTYPE, "bf16", "bf16"},
    {OPT_DTYPE, "f16", "f16"},
    {OPT_GENERATION, "hf", "hf"},
    {OPT_GENERATION, "lavis", "lavis"},
    {OPT_LIBRARY, "hf", "hf"},
    {OPT_LIBRARY, "lavis", "lavis"},
    {OPT_EARLY_STOPPING, "true", "true"},
    {OPT_EARLY_STOPPING, "false", "false"},
    {OPT_COUNT, NULL, NULL},
};

static const char *meaning(const Synonym *s, OptId id, const char *word)
{
    while (s->word && !(s->option == id && strcasecmp(s->word, word) == 0))
        s++;
    return s->means;
}

/* Whether word is one of the words of a choice "a|b|c". */
static bool is_choice(const char *choices, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = choices; *p; p += strcspn(p, "|"), p += *p == '|')
        if (n > 0 && strcspn(p, "|") == n && memcmp(p, word, n) == 0)
            return true;
    return false;
}

const char *choice_word(OptId id, const char *word)
{
    if (is_choice(options[id].argument, word))
        return word;
    if (id == OPT_DTYPE && strncmp(word, "torch.", 6) == 0)
        word += 6;
    const char *means = meaning(synonyms, id, word);
    return means ? means : meaning(own_words, id, word);
}

/* debug run starts from neutral values, whatever the library. */
static const char *const run_help[OPT_COUNT] = {
    [OPT_GENERATION] = "whose rules: those of LAVIS (the default) or of Hugging Face transformers; "
                       "nobody's defaults",
    [OPT_NUM_BEAMS] = "beams of the search; 1 is greedy (default 1)",
    [OPT_MAX_NEW_TOKENS] = "generate at most N tokens (default 20)",
    [OPT_MAX_LENGTH] = "the longest sequence as the chosen library counts it: lavis with its start "
                       "token, hf with the ids and the picture; --max-new-tokens wins",
    [OPT_LENGTH_PENALTY] = "beams are compared by score / length^X: above 0 favours long, below 0 "
                           "short (default 1)",
    [OPT_NUM_CAPTIONS] = "sequences, best first; needs as many beams, or --sample (default 1)",
    [OPT_TOP_P] = "draw from the likeliest tokens that together have probability P (default 1)",
    [OPT_SEED] = "start of the random numbers; the same seed draws the same ids (default 0)",
    [OPT_JSON] = "accepted; what --generate prints is JSON anyway",
};

const char *option_help(OptId id, VerbId verb, char buffer[1024])
{
    const char *between = "; also ";
    const char *help = verb == VERB_RUN && run_help[id] ? run_help[id] : options[id].help;
    int n = snprintf(buffer, 1024, "%s", help);
    for (const Synonym *s = synonyms; s->word; s++) {
        if (s->option != id || n < 0 || n >= 1024)
            continue;
        n += snprintf(buffer + n, 1024 - (size_t)n, "%s%s = %s", between, s->word, s->means);
        between = ", ";
    }
    return buffer;
}

OptId option_named(const char *name, size_t n)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
            return (OptId)i;
    return OPT_COUNT;
}

OptId option_lettered(char letter)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (letter && options[i].letter == letter)
            return (OptId)i;
    return OPT_COUNT;
}

bool option_fits(OptId id, VerbId verb)
{
    return options[id].verbs >> verb & 1u;
}
