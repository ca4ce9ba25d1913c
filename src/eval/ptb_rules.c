/* eval/ptb_rules.c: what the PTB tokenizer knows: words, their clitics, abbreviations, numbers, addresses, signs.
 * Of equal matches the rule that stands first wins. */
#include "eval/ptb_rules.h"

/* clang-format off */
const Macro PTB_MACROS[] = {
    {"letter", NULL, PTB_LETTERS, &PTB_LETTER_COUNT},
    {"mark", NULL, PTB_MARKS, &PTB_MARK_COUNT},
    {"digit", NULL, PTB_DIGITS, &PTB_DIGIT_COUNT},
    {"symbol", NULL, PTB_SYMBOLS, &PTB_SYMBOL_COUNT},

    {"BLANK", "[ \\t\\u00a0\\u2000-\\u200a\\u3000]", NULL, 0},
    {"BLANKNL", "[ \\t\\u00a0\\u2000-\\u200a\\u3000\\n]", NULL, 0},
    {"APOS", "['\\u0092\\u2019]|&(?iapos);", NULL, 0},

    /* Words: "dog", "dog.The", "caf\u00e9". */
    {"LETTER", "[{letter}{mark}\\u00ad]|&(?i[aeiou](acute|grave|uml));", NULL, 0},
    {"ALNUM", "{LETTER}|{digit}", NULL, 0},
    {"WORD", "{LETTER}({ALNUM})*([.!?]{LETTER}({ALNUM})*)*", NULL, 0},
    {"NUM", "{digit}+|{digit}*([.:,\\u00ad\\u066b\\u066c]{digit}+)+", NULL, 0},
    {"NUMBER", "[\\-+]?{NUM}", NULL, 0},
    {"CLITIC", "({APOS})(?i[msd]|re|ve|ll)", NULL, 0},

    /* Acronyms and abbreviations, which keep their full stop. */
    {"ACRO", "[A-Za-z](\\.[A-Za-z])*|(Canada|Sino|Korean|EU|Japan|non)-U\\.S|U\\.S\\.-(U\\.K|"
     "U\\.S\\.S\\.R)", NULL, 0},
    {"ACRO2", "[A-Za-z](\\.[A-Za-z])+", NULL, 0},
    {"ABBREV_END", "(?ial|co|ct|ga|jr|ky|md|mo|rd|rt|sq|sr|va|vt|ala|apr|aug|bhd|cos|dak|dec|esq|est|etc|ext|"
     "feb|fla|fri|inc|ind|jan|jul|jun|kan|ltd|mar|mon|neb|nev|nov|oct|plc|pte|pty|sep|seq|sys|tel|thu|tue|wed|"
     "wis|wyo|ariz|assn|bldg|blvd|bros|colo|conn|corp|intl|kans|mich|minn|mont|okla|penn|ppte|ppty|ptes|ptys|"
     "sept|tenn|tues|univ|wisc|calif|pptes|pptys|thurs|ph\\.d|ed\\.d)|A(?iz)|L(?ia)|P(?ia)|A(?irk)|D(?iel)|"
     "I(?ill)|O(?ire)|T(?iex)|M(?iass)|M(?iiss)|W(?iash)", NULL, 0},
    {"TITLE", "(?icf|dr|ft|lt|mr|ms|mt|ph|st|vs|wm|adj|adm|adv|ave|cie|col|cpl|det|drs|ens|gen|gov|hon|jos|maj|"
     "mfg|mme|mrs|mtg|pfc|pvt|rep|rev|sen|sfc|sgt|spc|ste|alex|asst|atty|brig|capt|cmdr|dept|elec|govs|insp|"
     "invt|mlle|msgr|natl|pres|prof|reps|sens|supt|assoc|attys|comdr|lieut|profs|supts|treas|messrs)", NULL, 0},
    {"BEFORE_NUMBER", "(?ica|no|op|pp|art|fig|nos|figs|prop)", NULL, 0},
    {"STARTER", "A|A(?in|s|t|bout|ccording|dditionally|fter)|B(?iut)|E(?iarlier)|H(?ie|er|ere|owever)|I(?if|n|"
     "t)|L(?iast)|M(?iany|ore|r\\.|s\\.)|N(?iow)|O(?ince|ne|ther|ur)|S(?io|he|ome|uch|ince)|T(?ihe|hat|hen|hey|"
     "his|heir|here|hese)|W(?ie|hat|hen|hile)|Y(?iet|ou)", NULL, 0},

    /* Addresses. */
    {"URL", "(?ihttps?)://[^ \\t\\n\\f\\r\"<>|()\\{}]+[^ \\t\\n\\f\\r\"<>|.!?()\\{},\\-]", NULL, 0},
    {"URLPATH", "(/[^ \\t\\n\\f\\r\"<>|()]+[^ \\t\\n\\f\\r\"<>|.!?()\\{},\\-])?", NULL, 0},
    /* ",-_" is a range: no digits, no capitals. */
    {"LIKELYURL", "((?iwww)\\.([^ \\t\\n\\f\\r\"<>|.!?()\\{},]+\\.)+[a-zA-Z]{2,4}|([^ \\t\\n\\f\\r\"`'<>|"
     ".!?()\\{},-_$]+\\.)+(?icom|net|org|edu)){URLPATH}", NULL, 0},
    {"EMAIL", "(<|&(?ilt);)?[a-zA-Z0-9][^ \\t\\n\\f\\r\"<>|()\\u00a0\\{}]*@([^ \\t\\n\\f\\r\"<>|"
     "().\\u00a0\\{}]+\\.)*[^ \\t\\n\\f\\r\"<>|().\\u00a0\\{}]+(>|&(?igt);)?", NULL, 0},
    {"TAG", "<[!?][A-Za-z\\-][^>\\r\\n]*>|"
     "</?[A-Za-z][A-Za-z0-9_:.\\-]*( +[A-Za-z][A-Za-z0-9_:.\\-]*( *= *('[^'\\r\\n]*'|\"[^\"\\r\\n]*\"))?"
     ")* */? *>", NULL, 0},
    {"FILE", "({ALNUM})+(\\.({ALNUM})+)*\\.(?ibat|bmp|c|class|cgi|cpp|dll|doc|docx|exe|gif|gz|h|htm|html|jar|"
     "java|jpeg|jpg|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip|wm[va])", NULL, 0},
    {"HYPHEN", "[\\-\\u058a\\u2010\\u2011]", NULL, 0},
    {"LD", "[{letter}{digit}]+", NULL, 0},
    {"APOSTROPHE", "({APOS})|[`\\u0091\\u2018\\u201b]", NULL, 0},
    {"ONAME", "[dDoOlL]({APOSTROPHE})[{letter}{digit}]{LD}", NULL, 0},
    {"THING", "({ONAME}|{LD})([_\\-\\u058a\\u2010\\u2011]({LD}|{ONAME}))*|"
     "[A-Za-z0-9][A-Za-z0-9.,\\u00ad]*(-([A-Za-z0-9\\u00ad]+|({ACRO2})\\.))+", NULL, 0},
    {"INITIALS", "[A-Z]+(([&+]|&(?iamp);)[A-Z]+)+", NULL, 0},
    {"FRACTION", "({digit}{1,4}[\\- \\u00a0])?{digit}{1,4}(\\\\?/|\\u2044){digit}{1,4}", NULL, 0},
    {"PHONE", "(\\([0-9]{2,3}\\)[ \\u00a0]?|(\\+\\+?)?([0-9]{2,4}[\\- \\u00a0])?"
     "[0-9]{2,4}[\\- \\u00a0])[0-9]{3,4}[\\- \\u00a0]?[0-9]{3,5}|((\\+\\+?)?[0-9]{2,4}\\.)?"
     "[0-9]{2,4}\\.[0-9]{3,4}\\.[0-9]{3,5}", NULL, 0},
    {NULL, NULL, NULL, 0},
};

const PtbRule PTB_RULES[] = {
    {"\\n", PTB_NEWLINE, 0, 0},
    {"{BLANK}+|&(?inbsp);", PTB_DROP, 0, 0},
    /* Words that are two. */
    {"(?icannot)", PTB_TEXT, 3, 0},
    {"(?igonna|gotta|lemme|gimme|wanna)", PTB_TEXT, 3, 0},
    {"'[tT](?iis|was)", PTB_TEXT, KEEP_TO_I_OR_W, 0},
    /* Tags, and characters by their names in HTML. */
    {"{TAG}", PTB_TAG, 0, 0},
    {"[\\u0096\\u0097\\u2013-\\u2015]|&(MD|(?imdash|ndash));", PTB_DROP, 0, 0},
    {"&(?iamp);", PTB_FIXED, 0, "&"},
    {"&(HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);", PTB_TEXT, 0, 0},
    /* Words and their clitics: "dog" of "dog's", "is" of "isn't"; a full stop before a comma is the word's. */
    {"({WORD}){CLITIC}", PTB_WORD, KEEP_TO_APOSTROPHE, 0},
    {"[A-Za-z\\u00ad]*[A-MO-Za-mo-z](\\u00ad)*[nN]({APOSTROPHE})[tT]", PTB_WORD, KEEP_TO_NT, 0},
    {"{WORD}", PTB_WORD, 0, 0},
    {"({WORD}|{THING}|{INITIALS})\\.[,;:\\u3001]", PTB_WORD, -1, 0},
    /* Words with apostrophes of their own. */
    {"(?i({APOS})n({APOS})|ol({APOS})|somethin({APOS})|dunkin({APOS})|({APOS})em|c({APOS})mon|({APOS})till?|"
     "({APOS})cause|ma({APOS})am|e({APOS})er|ne({APOS})er|o({APOS})clock|d({APOS})ye|cap({APOS})n|"
     "c({APOS})est)", PTB_TEXT, 0, 0},
    {"({APOS})[nN]{BLANKNL}", PTB_TEXT, -1, 0},
    {"[yY]({APOS})[{letter}]", PTB_TEXT, -1, 0},
    {"[dDlLjJ]({APOS})", PTB_TEXT, 0, 0},
    {"[A-HJ-XZn]({APOSTROPHE})[{letter}]{2}[{letter}]*|"
     "[{letter}]+[aeiouyAEIOUY]({APOSTROPHE})[aeiouA-Z][{letter}]*", PTB_TEXT, 0, 0},
    {"({CLITIC})[^A-Za-z]", PTB_CLITIC, -1, 0},
    {"[\\u0092\\u2019](?i[msd]|re|ve|ll)", PTB_CLITIC, 0, 0},
    {"[\\u0092\\u2019][nN]", PTB_TEXT, 0, 0},
    {"[cCfF]#|[cC]\\+\\+", PTB_TEXT, 0, 0},
    {"[nN]({APOSTROPHE})[tT]", PTB_CLITIC, 0, 0},
    /* Addresses, names, tags. */
    {"{URL}", PTB_TEXT, 0, 0},
    {"{LIKELYURL}", PTB_TEXT, 0, 0},
    {"{EMAIL}", PTB_TEXT, 0, 0},
    {"@[a-zA-Z_][a-zA-Z_0-9]*|#({LETTER})+", PTB_TEXT, 0, 0},
    {"[0-9]{1,2}[\\-/][0-9]{1,2}[\\-/][0-9]{2,4}", PTB_TEXT, 0, 0},
    {"\"|''|&quot;|{APOS}", PTB_DROP, 0, 0},
    {"&(?iquot);|[\\u207a\\u207b\\u208a\\u208b]?([\\u2070\\u00b9\\u00b2\\u00b3\\u2074-\\u2079]+|"
     "[\\u2080-\\u2089]+)", PTB_TEXT, 0, 0},
    /* Numbers, amounts. */
    {"{NUMBER}", PTB_WORD, 0, 0},
    {"{FRACTION}", PTB_TEXT, 0, 0},
    {"{PHONE}", PTB_TEXT, 0, 0},
    {"[A-Z]*\\$|#+", PTB_TEXT, 0, 0},
    {"[\\u0080\\u00a4\\u20a0\\u20ac]", PTB_FIXED, 0, "$"},
    {"\\u00a3", PTB_FIXED, 0, "#"},
    {"\\u00a2", PTB_FIXED, 0, "cents"},
    {"\\u00bc", PTB_FIXED, 0, "1/4"},
    {"\\u00bd", PTB_FIXED, 0, "1/2"},
    {"\\u00be", PTB_FIXED, 0, "3/4"},
    {"\\u2153", PTB_FIXED, 0, "1/3"},
    {"\\u2154", PTB_FIXED, 0, "2/3"},
    /* Abbreviations, alone or because of what follows. A single letter's full stop before the beginning of a
     * sentence is the sentence's. */
    {"({ABBREV_END})\\.(\\n|[^\\n])(\\n|[^\\n])", PTB_TEXT, -2, 0},
    {"({ACRO})\\.", PTB_TEXT, 0, 0},
    {"({FILE})(\\n|[ \\t\\u00a0\\u2000-\\u200a\\u3000.?!,])", PTB_TEXT, -1, 0},
    {"[A-Za-z]\\.({BLANKNL})+({TAG}|{STARTER})({BLANKNL})", PTB_TEXT, 1, 0},
    {"({ACRO})\\.({BLANKNL})+({TAG}|{STARTER})({BLANKNL})", PTB_TEXT, KEEP_TO_BLANK, 0},
    {"({BEFORE_NUMBER})\\.({BLANKNL})?{digit}", PTB_TEXT, KEEP_TO_DOT, 0},
    {"({ABBREV_END})\\.", PTB_TEXT, 0, 0},
    {"({TITLE})\\.", PTB_TEXT, 0, 0},
    /* Years, compounds, initials. */
    {"({APOS})[2-9]0[sS]", PTB_TEXT, 0, 0},
    {"({APOS})[0-9][0-9]{BLANKNL}", PTB_TEXT, -1, 0},
    {"(?i-(rrb|lrb|rcb|lcb|rsb|lsb)-|c\\.d\\.s|pro-|anti-|s(&|&amp;)p-500|s(&|&amp;)ls)", PTB_TEXT, 0, 0},
    {"[A-Za-z0-9]+(-[A-Za-z]+){0,2}(\\\\?/[A-Za-z0-9]+(-[A-Za-z]+){0,2}){1,2}", PTB_TEXT, 0, 0},
    {"{THING}", PTB_WORD, 0, 0},
    {"{INITIALS}", PTB_AND, 0, 0},
    /* Smileys. */
    {"[<>]?[:;=][\\-o*']?[()DPdpO\\\\\\{@|\\[\\]][^A-Za-z0-9]", PTB_TEXT, -1, 0},
    {"[\\^x=~<>]\\.\\[\\^x=~<>\\]|[\\-\\^x=~<>']_[\\-\\^x=~<>']|"
     "\\([\\-\\^x=~<>'][_.]?[\\-\\^x=~<>']\\)", PTB_TEXT, 0, 0},
    /* Signs. */
    {"[()]", PTB_TEXT, 0, 0},
    {"\\[", PTB_FIXED, 0, "-lsb-"},
    {"\\]", PTB_FIXED, 0, "-rsb-"},
    {"\\{", PTB_FIXED, 0, "-lcb-"},
    {"\\}", PTB_FIXED, 0, "-rcb-"},
    {"<<|>>", PTB_TEXT, 0, 0},
    {"<|&(?ilt);", PTB_FIXED, 0, "<"},
    {">|&(?igt);", PTB_FIXED, 0, ">"},
    {"-{1,4}|\\.{3,5}|(\\.[ \\u00a0]){2,4}\\.|[.,;:?!\\u0085\\u2026]", PTB_DROP, 0, 0},
    {"-+|[?!]+|@+|\\*+", PTB_TEXT, 0, 0},
    {"[`\\u2018-\\u201f\\u0091-\\u0094\\u2039\\u203a\\u00ab\\u00bb]{1,2}", PTB_QUOTES, 0, 0},
    {"\\\\\\*|_+|[+=&%^~|/\\\\]", PTB_TEXT, 0, 0},
    {"{symbol}", PTB_TEXT, 0, 0},
};
const size_t PTB_RULE_COUNT = sizeof PTB_RULES / sizeof *PTB_RULES;
/* clang-format on */
