/* verbs.c: the table of commands. */
#include "verbs.h"

#include <string.h>

/* clang-format off: text */
const Verb verbs[VERB_COUNT] = {
    [VERB_CAPTION] =
        {"caption",
         "IMAGE...",
         1,
         -1,
         "describe pictures",
         "Prints one line of text for each picture; with several pictures \"PATH: "
         "TEXT\", in the order given. "
         "IMAGE is a file, a folder (the pictures in it, in order of name; -r also those below "
         "it), "
         "an http:// or https:// address, or \"-\", standard input. JPEG, PNG, WebP, GIF, BMP, "
         "PNM, TIFF and, where libheif is, AVIF and HEIC are told apart by content. "
         "On a terminal the text appears as it is generated. A picture that cannot be "
         "done is reported on "
         "standard error and the others are still done.\n"
         "With --json one object per line and picture: image, text, texts (when more "
         "than one), score, token_ids, "
         "timings_ms; or image and error.",
         run_caption,
         {{"blip2 caption photo.jpg", "describe a picture"},
          {"blip2 caption *.jpg", "many pictures, the model is loaded once"},
          {"blip2 caption https://example.org/a.jpg", "a picture from the net"},
          {"blip2 caption -r photos/", "all pictures in a folder and below it"},
          {"blip2 caption -m ~/models/blip2-opt-2.7b --prompt \"a photo of\" a.jpg",
           "another model, and the beginning of the caption"},
          {"blip2 caption --json *.jpg > captions.jsonl", "for scripts"}}},
    [VERB_ASK] = {"ask",
                  "IMAGE... QUESTION",
                  1,
                  -1,
                  "answer a question about a picture",
                  "The question is wrapped in the model's template (\"Question: {} Answer:\"); "
                  "--prompt gives another one, "
                  "--raw-prompt none, and the question may then be left out. Several pictures "
                  "before the question are asked the same, and "
                  "the answers are "
                  "printed as by caption.\n--choices ranks a closed list of answers instead of "
                  "generating: one line for each, its "
                  "probability among them in front, best first; with --json \"choices\".",
                  run_ask,
                  {{"blip2 ask photo.jpg \"which city is this?\"", "a short answer"},
                   {"blip2 ask a.jpg b.jpg \"is there a dog?\"",
                    "the same question about two pictures"},
                   {"blip2 ask photo.jpg \"what is it?\" --prompt \"Question: {} Short answer:\"",
                    "another template"},
                   {"blip2 ask photo.jpg \"is it day or night?\" --choices day,night",
                    "one of a closed list"},
                   {"blip2 ask photo.jpg \"how many?\" --json", "for scripts"}}},
    [VERB_CHAT] =
        {"chat",
         "IMAGE",
         1,
         1,
         "a dialogue about a picture",
         "Each line is a question; earlier questions and answers are given to the model with it. "
         "Commands: /image PATH another picture (and a new dialogue; PATH may be quoted, or "
         "file://...), "
         "/reset forget the dialogue, /help, /quit. When a picture cannot be opened there is none "
         "until "
         "the next /image. "
         "Control-C stops the answer at the next token; of a beam search nothing is shown then. A "
         "stopped "
         "answer is not remembered; the end of input ends. Questions typed at a terminal are kept "
         "in "
         "~/.local/state/blip2/chat_history ($XDG_STATE_HOME). "
         "When standard input is no terminal, lines are read without prompts and each answer is "
         "one line.",
         run_chat,
         {{"blip2 chat photo.jpg", "talk about a picture"},
          {"printf 'what is it?\\nwhich colour?\\n' | blip2 chat photo.jpg",
           "a dialogue from a script"}}},
    [VERB_MATCH] =
        {"match",
         "IMAGE... TEXT...",
         2,
         -1,
         "how well texts fit pictures",
         "For each picture and text a line: itm, the probability that they match, from the "
         "Q-Former that "
         "reads both together; itc, the cosine of their features, which is made for search. The "
         "words that are "
         "pictures come first. It takes a matching model (itm-vit-g, itm-vit-g-coco). With --json "
         "one object per "
         "line and pair: image, text, itm, itc; or image, text, error.\n"
         "A text is prepared as LAVIS' notebooks do, in lower case and without most punctuation, "
         "and cut to 32 tokens; "
         "--library hf leaves it as it is.",
         run_match,
         {{"blip2 match -m itm-vit-g photo.jpg \"a dog\" \"a cat\"", "which one is it?"},
          {"blip2 match -m itm-vit-g *.jpg \"a red car\"", "which pictures show it?"},
          {"blip2 match -m itm-vit-g -r photos/ \"a beach\" --json | jq -s 'sort_by(-.itm)[:10]'",
           "the ten best of a folder"}}},
    [VERB_EMBED] =
        {"embed",
         "IMAGE...|TEXT...|IMAGE TEXT...",
         1,
         -1,
         "features of pictures, texts, or both",
         "--kind, with LAVIS' names; rows x columns of the published models:\n"
         "image_embeds_proj (32 x 256, of unit length) and text_embeds_proj (tokens x 256; its "
         "first row is the text's): the "
         "cosine of the two says how well they fit, for search.\n"
         "image_embeds (32 x 768), text_embeds (tokens x 768), multimodal_embeds (32 x 768, "
         "picture and text read together): "
         "the Q-Former's states. vision (257 x 1408): the vision tower's tokens. language_embeds "
         "(32 x 2560): what a language model reads.\n"
         "Operands are pictures, texts for the text kinds, and for multimodal_embeds a picture and "
         "its text, and again. "
         ".npy is [items, rows, columns], with --pool [items, columns]; an item that failed is "
         "not-a-number there. "
         ".safetensors has a tensor \"0\", \"1\", ... for each item, and their names in its "
         "metadata. JSON lines have image, "
         "text, kind, pool, values.",
         run_embed,
         {{"blip2 embed -m itm-vit-g photos/ --pool first -o photos.npy", "a row for each picture"},
          {"blip2 embed -m itm-vit-g -k text_embeds_proj --pool first \"a dog\" \"a cat\" -o "
           "texts.npy",
           "and for each text"},
          {"blip2 embed -m itm-vit-g -k multimodal_embeds a.jpg \"a dog\" -o both.safetensors",
           "a picture and its text together"}}},
    [VERB_LIST] =
        {"list",
         "",
         0,
         0,
         "the published models, and which are here",
         "Name, what it is good for, size of the download, and where it is on this machine. "
         "--json also has the other names that are understood, and the licence.",
         run_list,
         {{"blip2 list", "what there is"},
          {"blip2 list --json | jq -r 'select(.path) | .name'", "what is here"}}},
    [VERB_PULL] =
        {"pull",
         "NAME...",
         1,
         -1,
         "fetch models",
         "NAME is one of blip2 list, in any spelling of LAVIS or Hugging Face, a repository "
         "OWNER/NAME "
         "of Hugging Face's hub, or a .pth file of LAVIS. Only what is needed is fetched, several "
         "files "
         "at once, checked against their checksums, into Hugging Face's cache, where its own "
         "programs "
         "find it too; -m NAME uses it. An interrupted pull continues where it was. Prints the "
         "path.\n"
         "The environment: HF_HOME, HF_HUB_CACHE (where to), HF_TOKEN (for models behind terms), "
         "HF_ENDPOINT (a mirror), HF_HUB_OFFLINE=1 (fetch nothing), https_proxy; for LAVIS' files "
         "TORCH_HOME (where to), BLIP2_LAVIS_ENDPOINT (a mirror).",
         run_pull,
         {{"blip2 pull opt-2.7b", "a model of the list"},
          {"blip2 caption -m opt-2.7b photo.jpg", "and its use"},
          {"blip2 pull Salesforce/blip2-opt-2.7b-coco", "by its repository"},
          {"HF_HOME=/data/hf blip2 pull flan-t5-xl", "to another disk"}}},
    [VERB_SHOW] = {"show",
                   "[MODEL]",
                   0,
                   1,
                   "what a model is made of, and what it needs",
                   "Architecture, parameters, bytes by part and precision, the memory it needs "
                   "here, tokenizer, licence, and "
                   "what the directory lacks. Without MODEL: the embedded one.",
                   run_show,
                   {{"blip2 show", "the embedded model"},
                    {"blip2 show ~/models/blip2-opt-2.7b", "a directory from Hugging Face"},
                    {"blip2 show scenes --json", "for scripts"}}},
    [VERB_CONVERT] =
        {"convert",
         "FROM TO",
         2,
         2,
         "a model as files of another kind",
         "FROM is what -m takes: a directory, a file, a name. TO is a file, which is replaced, or "
         "with --to hf a new directory; it appears whole, at the end, or not at all. Weights keep "
         "their types, unless --dtype makes them smaller, as blip2 quantize does. A tensor that "
         "would have no place in the result is an error.\n"
         "packed: one safetensors file with everything, weights, tokenizer and settings, for -m. "
         "hf: a directory for transformers. lavis: a packed file with LAVIS' names of tensors.\n"
         "LAVIS' own .pth files have no vision tower of their own, and never the language model: "
         "both are found where LAVIS and Hugging Face keep them, or named by --vit and --llm.",
         run_convert,
         {{"blip2 convert ~/models/blip2-opt-2.7b opt.safetensors", "a model in one file"},
          {"blip2 convert --to hf blip2_pretrained_opt2.7b.pth opt-hf --vit eva_vit_g.pth --llm "
           "facebook/opt-2.7b",
           "LAVIS' files as one directory"},
          {"blip2 convert --to lavis opt-hf opt-lavis.safetensors", "and back"}}},
    [VERB_QUANTIZE] =
        {"quantize",
         "MODEL OUT",
         2,
         2,
         "a model with smaller weights, in one file",
         "MODEL is what -m takes; OUT is a file, which is replaced; it appears whole, at the end, "
         "or not "
         "at all. It is mapped when it is used: nothing is left to do then, unlike with --dtype, "
         "which quantises at each start.\n"
         "int8: all large matrices, half of what 16 bits take. int4: those of the language model's "
         "layers with 4.5 bits a weight, the rest as int8. mixed: int4 where the texts hardly "
         "change by it, else int8. Norms, biases, embeddings and the first layer of the vision "
         "tower keep "
         "their types. What each costs in quality is in docs/QUANTIZATION.md.\n"
         "Weights that are quantised already are refused: the original gives better ones.",
         run_quantize,
         {{"blip2 quantize opt-2.7b opt-int8.safetensors", "a quarter of what 32 bits take"},
          {"blip2 quantize --to mixed flan-t5-xxl xxl.safetensors", "for a machine with 24 GB"},
          {"blip2 caption -m xxl.safetensors photo.jpg", "and its use"}}},
    [VERB_DOCTOR] =
        {"doctor",
         "",
         0,
         0,
         "what this machine can do, and what was chosen",
         "Processor, instruction sets and the kernels that the measurement chose, peak "
         "and bandwidth, memory, "
         "optional parts, and whether the embedded model is found. The speeds are measured "
         "now; the choice of kernels is stored, so that results do not change from one "
         "start to the next, until --measure makes it anew.",
         run_doctor,
         {{"blip2 doctor", "check this machine"},
          {"BLIP2_ISA=avx2 blip2 doctor", "with another kernel set"},
          {"blip2 doctor --measure", "choose the kernels anew"},
          {"blip2 doctor --json", "for a bug report"}}},
    [VERB_DATA] =
        {"data",
         "list|check|prepare [NAME] [ARCHIVE...]",
         1,
         -1,
         "the data sets of evaluation and training",
         "list: the data sets that are known by name, in LAVIS' folder layout; of NAME which files "
         "each "
         "split needs, their sizes, where they come from, the licence.\n"
         "check: what of NAME is there below DIR, and what is missing or broken, by name: "
         "annotations are read, every picture that they name is looked for, and decoded with "
         "--deep. "
         "Exit code 0 when all is there, 3 when not.\n"
         "prepare: fetches missing annotations and the archives of pictures that are public, and "
         "unpacks "
         "them; archives that you have are named by you (recognised by their file names), or lie "
         "in the "
         "data set's folder for downloads. It says first what it would do, and asks. What was "
         "interrupted goes on. "
         "Archives stay where they are. BLIP2_DATA_ENDPOINT names a mirror: URL/HOST/PATH. Exit "
         "code 3: something "
         "is left for you to fetch.\n"
         "NAME may have a type, as in gqa/balanced_val.",
         run_data,
         {{"blip2 data list", "what there is"},
          {"blip2 data list ok_vqa", "what one needs"},
          {"blip2 data prepare ok_vqa --split test --root /data/lavis",
           "fetch what is missing, after asking"},
          {"blip2 data prepare flickr30k --root /data/lavis ~/Downloads/flickr30k-images.tar.gz",
           "unpack what you have"},
          {"blip2 data check coco_caption --split test --root /data/lavis --deep",
           "is all of it good?"},
          {"blip2 data check scenes", "the pictures that came with the program"}}},
    [VERB_SCORE] =
        {"score",
         "caption|vqa|gqa|retrieval RESULT... [GROUNDTRUTH]",
         2,
         -1,
         "numbers of a benchmark for any system's results",
         "caption: RESULT a list of {image_id, caption}, GROUNDTRUTH in COCO's form; Bleu_1 to "
         "Bleu_4, METEOR, ROUGE_L, CIDEr, SPICE as pycocoevalcap computes them, and again for "
         "each domain where pictures have one (nocaps). METEOR and SPICE are programs of others "
         "and computed where they are given.\n"
         "vqa: RESULT a list of {question_id, answer}, GROUNDTRUTH VQAv2's annotations; percent. "
         "gqa: RESULT a list of {question_id, pred_ans, gt_ans}, and no other file; percent.\n"
         "retrieval: RESULT {score_i2t: rows, score_t2i: rows}, a row a list of scores or {index, "
         "score} of the candidates alone; GROUNDTRUTH LAVIS' list of {image, caption: "
         "[...]}; recall in percent, txt_ from pictures to texts, img_ from texts to pictures.",
         run_score,
         {{"blip2 score caption captions.json coco_karpathy_test_gt.json", "COCO captions"},
          {"blip2 score vqa vqa_result.json v2_mscoco_val2014_annotations.json --json",
           "for scripts"},
          {"blip2 score vqa --merge part0.json part1.json annotations.json",
           "the shards of one result"},
          {"blip2 score caption captions.json gt.json --meteor-jar meteor-1.5.jar --ptb-jar "
           "stanford-corenlp-3.4.1.jar",
           "with the original programs"}}},
    [VERB_CONFIG] =
        {"config",
         "FILE",
         0,
         1,
         "a YAML file of LAVIS with all its defaults",
         "Prints what an evaluation or a training would be told: FILE (\"-\": standard input) over "
         "the defaults of the "
         "model and of the data sets, and --options over it, as LAVIS merges them; behind each "
         "value a comment says "
         "where it comes from. The output is such a file itself. A key that nothing knows is "
         "reported on standard "
         "error, with the nearest known one, and has no effect.\n"
         "Defaults exist for the published models of blip2, blip2_opt and blip2_t5 and for the "
         "data sets of docs/CONFIG.md.",
         run_config,
         {{"blip2 config configs/eval/ret_coco_eval.yaml",
           "one of the evaluations that come with the program"},
          {"blip2 config my.yaml --options run.num_beams=3 model.model_type=pretrain_flant5xxl",
           "with other values"},
          {"blip2 config my.yaml --json | jq .run.seed", "for scripts"},
          {"blip2 config --keys", "all keys"}}},
    [VERB_BENCH] =
        {"bench",
         "",
         0,
         0,
         "how fast a model runs here",
         "Measures every stage on a synthetic picture and sets it against the peak of the "
         "instruction and the read "
         "bandwidth of this machine. --synthetic measures a model you have not downloaded yet.",
         run_bench,
         {{"blip2 bench", "the embedded model"},
          {"blip2 bench -m ~/models/blip2-opt-2.7b", "a model on disk"},
          {"blip2 bench --synthetic opt-2.7b --dtype bf16",
           "would it be fast enough, before 15 GB are downloaded?"},
          {"blip2 bench --json --threads 1", "for scripts"}}},
    [VERB_TOKENIZE] =
        {"debug tokenize",
         "MODEL",
         1,
         1,
         "text to token ids",
         "Reads {\"text\": \"...\"} per line (may hold \\u0000), writes {\"ids\": [...]} per line, "
         "template included. "
         "Needs the tokenizer files only. A line that cannot be done gives {\"error\": ...}.",
         run_debug_tokenize,
         {{"echo '{\"text\": \"a photo of\"}' | blip2 debug tokenize scenes", "ids of a text"}}},
    [VERB_DETOKENIZE] = {"debug detokenize",
                         "MODEL",
                         1,
                         1,
                         "token ids to text",
                         "Reads {\"ids\": [...]} per line, writes {\"text\": \"...\"} per line, "
                         "special tokens skipped.",
                         run_debug_detokenize,
                         {{"echo '{\"ids\": [2, 97]}' | blip2 debug detokenize scenes",
                           "text of ids"}}},
    [VERB_PREPROCESS] = {"debug preprocess",
                         "IMAGE",
                         1,
                         1,
                         "what the network sees of a picture",
                         "Decodes, resizes and normalises exactly as the chosen library does; "
                         "writes what -o and --u8 name.",
                         run_debug_preprocess,
                         {{"blip2 debug preprocess photo.jpg -o x.npy --u8 x.ppm", "both forms"},
                          {"blip2 debug preprocess --library hf --size 364 photo.jpg -o x.npy",
                           "as transformers, 364 pixels"}}},
    [VERB_RUN] =
        {"debug run",
         "MODEL",
         1,
         1,
         "one pass through a model, with every activation",
         "MODEL is a directory or a name. One picture and one text, given as ids, no padding. "
         "Works on a "
         "directory without a tokenizer. Without --dump and --generate nothing is written. What "
         "the model's "
         "generation_config.json says beside the special ids does not count here.",
         run_debug_run,
         {{"blip2 debug run scenes --pixels x.npy --ids 2,5,7 --dump out",
           "activations as out/NAME.npy"},
          {"blip2 debug run scenes --pixels a.png --ids 2 --generate --num-beams 5 --generation hf",
           "generated ids and scores"}}},
    [VERB_HELP] = {"help",
                   "[COMMAND]",
                   0,
                   2,
                   "about a command; man page, shell completions",
                   "\"help COMMAND\" explains a command with examples. \"help man\" writes the man "
                   "page, \"help completion bash\" "
                   "(zsh, fish) the completions, to standard output; \"./dev install\" and "
                   "packages put them in place.",
                   run_help,
                   {{"blip2 help caption", "about one command"},
                    {"blip2 help man | man -l -", "read the man page"},
                    {". <(blip2 help completion bash)", "completions for this shell"}}},
    [VERB_VERSION] =
        {"version", "", 0, 0, "the version", "", run_version, {{"blip2 --version", "the same"}}},
};
/* clang-format on */

bool verb_is_plumbing(VerbId verb)
{
    return strncmp(verbs[verb].name, "debug ", 6) == 0;
}

/* The words of a command's name that `words` begins with, all of them or none. */
static int words_matching(const char *name, char *const *words, int count)
{
    int used = 0;
    while (*name) {
        size_t n = strcspn(name, " ");
        if (used >= count || strlen(words[used]) != n || memcmp(words[used], name, n) != 0)
            return 0;
        used++;
        name += n + (name[n] == ' ');
    }
    return used;
}

VerbId verb_named(char *const *words, int count, int *used)
{
    for (int i = 0; i < VERB_COUNT; i++) {
        *used = words_matching(verbs[i].name, words, count);
        if (*used)
            return (VerbId)i;
    }
    return VERB_COUNT;
}
