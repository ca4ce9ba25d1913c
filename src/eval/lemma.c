/* eval/lemma.c: exceptions first, then endings. */
#include "eval/lemma.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/unicode.h"

/* clang-format off: tables in ascending order */
static const char *const EXCEPTIONS[][2] = {
    {"ate", "eat"},       {"beaten", "beat"},    {"became", "become"}, {"been", "be"},
    {"began", "begin"},   {"bent", "bend"},      {"bit", "bite"},      {"bitten", "bite"},
    {"blew", "blow"},     {"blown", "blow"},     {"bought", "buy"},    {"broke", "break"},
    {"broken", "break"},  {"brought", "bring"},  {"built", "build"},   {"buses", "bus"},
    {"calves", "calf"},   {"came", "come"},      {"caught", "catch"},  {"children", "child"},
    {"chose", "choose"},  {"cookies", "cookie"}, {"did", "do"},        {"does", "do"},
    {"done", "do"},       {"drank", "drink"},    {"drawn", "draw"},    {"drew", "draw"},
    {"driven", "drive"},  {"drove", "drive"},    {"dying", "die"},     {"eaten", "eat"},
    {"fallen", "fall"},   {"fed", "feed"},       {"feet", "foot"},     {"fell", "fall"},
    {"felt", "feel"},     {"flew", "fly"},       {"flown", "fly"},     {"fought", "fight"},
    {"found", "find"},    {"gave", "give"},      {"geese", "goose"},   {"given", "give"},
    {"goes", "go"},       {"gone", "go"},        {"got", "get"},       {"grew", "grow"},
    {"grown", "grow"},    {"had", "have"},       {"halves", "half"},   {"has", "have"},
    {"held", "hold"},     {"hid", "hide"},       {"hidden", "hide"},   {"hung", "hang"},
    {"is", "be"},         {"kept", "keep"},      {"knew", "know"},     {"knives", "knife"},
    {"known", "know"},    {"leaves", "leave"},   {"led", "lead"},      {"left", "leave"},
    {"lives", "life"},    {"loaves", "loaf"},    {"lost", "lose"},     {"lying", "lie"},
    {"made", "make"},     {"men", "man"},        {"met", "meet"},      {"mice", "mouse"},
    {"movies", "movie"},  {"oxen", "ox"},        {"paid", "pay"},      {"people", "people"},
    {"pies", "pie"},      {"ran", "run"},        {"ridden", "ride"},   {"rode", "ride"},
    {"said", "say"},      {"sang", "sing"},      {"sat", "sit"},       {"saw", "see"},
    {"scarves", "scarf"}, {"seen", "see"},       {"sent", "send"},     {"shelves", "shelf"},
    {"shoes", "shoe"},    {"shook", "shake"},    {"slept", "sleep"},   {"sold", "sell"},
    {"sped", "speed"},    {"spent", "spend"},    {"spoke", "speak"},   {"stood", "stand"},
    {"swam", "swim"},     {"swept", "sweep"},    {"taken", "take"},    {"taught", "teach"},
    {"teeth", "tooth"},   {"thieves", "thief"},  {"thought", "think"}, {"threw", "throw"},
    {"thrown", "throw"},  {"ties", "tie"},       {"toes", "toe"},      {"told", "tell"},
    {"took", "take"},     {"tying", "tie"},      {"was", "be"},        {"went", "go"},
    {"were", "be"},       {"wives", "wife"},     {"wolves", "wolf"},   {"women", "woman"},
    {"won", "win"},       {"wore", "wear"},      {"worn", "wear"},     {"written", "write"},
    {"wrote", "write"},   {"zombies", "zombie"},
};

/* In -s, -ing or -ed, and no form of another word. */
static const char *const WHOLE[] = {
    "bed",     "boring",   "building",  "bus",      "canvas",  "ceiling", "christmas",
    "clothes", "clothing", "during",    "earring",  "evening", "feed",    "gas",
    "glass",   "glasses",  "grass",     "hundred",  "its",     "jeans",   "kids",
    "king",    "lens",     "morning",   "naked",    "news",    "nothing", "pants",
    "plus",    "red",      "ring",      "scissors", "seed",    "series",  "shorts",
    "sibling", "sled",     "something", "speed",    "spring",  "string",  "tennis",
    "texas",   "thing",    "this",      "us",       "weed",    "wing",    "yes",
};
/* clang-format on */

enum { LONGEST = 32 };

static int by_key(const void *key, const void *row)
{
    return strcmp(key, *(const char *const *)row);
}

static bool is_vowel(char c)
{
    return c && strchr("aeiou", c);
}

static bool has_vowel(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_vowel(s[i]) || s[i] == 'y')
            return true;
    return false;
}

/* A stem whose ending -ing or -ed has been cut: "sitt" sit, "rid" ride, "play" play. */
static void mend_stem(char *s)
{
    size_t n = strlen(s);
    bool doubled = n > 2 && s[n - 1] == s[n - 2] && !strchr("lsz", s[n - 1]) && !is_vowel(s[n - 1]);
    bool short_vowel = n > 2 && !is_vowel(s[n - 1]) && is_vowel(s[n - 2]) && !is_vowel(s[n - 3]) &&
                       !strchr("wxy", s[n - 1]);
    bool one_syllable = n == 3 || (n == 4 && !is_vowel(s[0]) && !is_vowel(s[1]));
    bool wants_e =
        n > 1 && (strchr("cuvz", s[n - 1]) || (s[n - 1] == 'g' && strchr("nrd", s[n - 2])) ||
                  (s[n - 1] == 's' && is_vowel(s[n - 2])));
    if (doubled)
        s[n - 1] = 0;
    else if (wants_e || (short_vowel && one_syllable) || (n > 3 && strcmp(s + n - 2, "at") == 0))
        strcpy(s + n, "e");
}

static bool cut_ending(char *s, const char *ending)
{
    size_t n = strlen(s), k = strlen(ending);
    if (n < k + 2 || strcmp(s + n - k, ending) != 0 || !has_vowel(s, n - k))
        return false;
    s[n - k] = 0;
    return true;
}

static void cut_plural(char *s)
{
    size_t n = strlen(s);
    if (n < 3 || s[n - 1] != 's' || strchr("sui", s[n - 2]))
        return;
    s[n - 1] = 0;
    if (n > 4 && strcmp(s + n - 3, "ie") == 0)
        strcpy(s + n - 3, "y");
    else if (str_ends(s, "she") || str_ends(s, "che") || str_ends(s, "xe") || str_ends(s, "sse") ||
             str_ends(s, "oe"))
        s[n - 2] = 0;
}

/* In place; word has LONGEST bytes and a letter more is at most what it grows by. */
static void lemma_word(char word[LONGEST])
{
    const char *const *row = bsearch(word, EXCEPTIONS, sizeof EXCEPTIONS / sizeof *EXCEPTIONS,
                                     sizeof *EXCEPTIONS, by_key);
    if (row) {
        strcpy(word, row[1]);
        return;
    }
    if (bsearch(word, WHOLE, sizeof WHOLE / sizeof *WHOLE, sizeof *WHOLE, by_key))
        return;
    if (cut_ending(word, "ied"))
        strcat(word, "y");
    else if (cut_ending(word, "ing") || cut_ending(word, "ed"))
        mend_stem(word);
    else
        cut_plural(word);
}

static bool is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < 'a' || s[i] > 'z')
            return false;
    return n > 0 && n < LONGEST - 2;
}

static void add_piece(const char *s, size_t n, StrBuf *out, size_t from)
{
    char word[LONGEST];
    if (n == 0)
        return;
    if (out->len > from)
        strbuf_puts(out, " ");
    if (!is_plain(s, n)) {
        strbuf_add(out, s, n);
        return;
    }
    memcpy(word, s, n);
    word[n] = 0;
    lemma_word(word);
    strbuf_puts(out, word);
}

/* The length of the contraction at the end of a word, as spaCy splits it off. */
static size_t clitic(const char *s, size_t n)
{
    static const char *const ENDS[] = {"n't", "'s", "'re", "'ve", "'ll", "'m", "'d"};
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        size_t k = strlen(ENDS[i]);
        if (n > k && memcmp(s + n - k, ENDS[i], k) == 0)
            return k;
    }
    return 0;
}

static void add_word(const char *s, size_t n, StrBuf *out, size_t from)
{
    size_t end = n, k = clitic(s, n);
    while (!k && end > 1 && strchr(",.!?;:", s[end - 1]))
        end--;
    add_piece(s, end - k, out, from);
    if (k || end < n)
        add_piece(s + (end - k), n - (end - k), out, from);
}

void lemma_answer(const char *s, size_t n, StrBuf *out)
{
    size_t from = out->len, word = 0, length;
    uint32_t cp;
    bool valid;
    for (size_t at = 0; at < n; at += length) {
        length = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (valid && unicode_python_space(cp)) {
            add_word(s + word, at - word, out, from);
            word = at + length;
        }
    }
    add_word(s + word, n - word, out, from);
}
