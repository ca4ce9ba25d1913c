#!/usr/bin/env python3
"""Lines for the PTB tokenizer and what the original makes of them: python make_ptb_lines.py JAR SEED LINES OUTDIR
JAR is stanford-corenlp-3.4.1.jar (pycocoevalcap 1.2 brings it); needs java. Writes ptb_lines.txt and ptb_tokens.txt: the tokens
after pycocoevalcap's list of punctuation, as its ptbtokenizer.py applies it. Lines are drawn from hand-written pieces: words of captions, clitics, abbreviations,
numbers, addresses, quotation marks, smileys, tags, rare characters, in order and glued together."""
import os, random, subprocess, sys

JAR, SEED, LINES, OUT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
R = random.Random(SEED)
WORDS = """a the man woman dog cat sitting standing on in with of two three people street red blue train bus sign reads says photo is are his her their
and to at by near young old black white table plate pizza skateboard wearing holding front next top large small group field grass tennis The He In It""".split()
PIECES = """it's man's dogs' don't can't won't isn't they're I've he'd she'll O'Neil's 1990's '90s rock'n'roll t-shirt well-lit 2-year-old 5'10" 7" 10x12
50% $5 $1,000.50 US$5 #1 No. no. 5 St. Mr. Mrs. Dr. U.S. U.S.A. a.m. p.m. 5pm 10:30 3.5 1/2 9/11 24/7 and/or w/ c/o etc. e.g. i.e. vs. Jan. 5th Ave. Blvd. Co.
Inc. Ltd. Ph.D. AT&T R&B Q&A B&W :) ;-) :-( :D <3 ^_^ -_- ... -- --- .. !! ?? !? – — " “ ” ' ‘ ’ ( ) [ ] { } / & + = @ * ! ? , ; : . www.foo.com
http://a.com/b?c=d foo@bar.com @user #tag file.jpg image_1.png café naïve Zürich 北京 日本語 Москва 😀 👍🏽 ™ ® ° 20°C £5 €10 ½ ¼ x's B. C. J.K. A.B.C
"STOP" 'exit' ``hi'' y'all ma'am o'clock 'n' 'em cannot gonna wanna gotta lemme dunno 'tis 's n't -a a- 1st 2nd 1,000 1.5.2 555-1234 (555) 1-800-555-1234 +44 20 7946
10-20 -5 +5 .5 5. (5) 3:2 1,2 a/b <b>bold</b> <br/> &amp; &lt;3 &quot; ~ ^ _ __ a_b % | \\ `a` «x» C++ C# S&P-500 pro- Cap'n""".split()
CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SIGNS = ".,;:!?'\"`-()[]{}<>/\\&%$#@*+=~^_|"
RARE = [chr(c) for a, b in ((0xa1, 0x180), (0x400, 0x450), (0x2010, 0x2028), (0x202a, 0x2050), (0x20a0, 0x20c0), (0x2100, 0x2180), (0x2190, 0x21c0), (0x2460, 0x2480), (0x3000, 0x3020), (0x300, 0x310),
                                (0x600, 0x670), (0x900, 0x970), (0xe00, 0xe5b), (0x1f600, 0x1f620), (0xff01, 0xff60)) for c in range(a, b)]


def piece():
    k = R.random()
    if k < .25: return R.choice(WORDS)
    if k < .55: return R.choice(PIECES)
    if k < .65: return ''.join(R.choice(CHARS) for _ in range(R.randint(1, 5)))
    if k < .75: return ''.join(R.choice("0123456789" * 3 + ".,:/-()+ $%#'x°") for _ in range(R.randint(1, 9)))
    if k < .85: return R.choice(SIGNS)
    if k < .90: return ''.join(R.choice(SIGNS) for _ in range(R.randint(2, 3)))
    return R.choice(RARE)


def line():
    glue, s = R.choice([.1, .3, .7]), ''
    for _ in range(R.randint(1, 12)):
        p = piece()
        p = p.capitalize() if R.random() < .08 else p.upper() if R.random() < .03 else p
        s += p + ('' if R.random() < glue else R.choice([' ', ' ', ' ', '  ', '\t', ', ', '. ']))
    return s


lines = [line() for _ in range(LINES)] + ['end']
source = os.path.join(OUT, 'ptb_lines.txt')
open(source, 'w', encoding='utf-8', newline='\n').write('\n'.join(lines) + '\n')
out = subprocess.run(['java', '-Dfile.encoding=UTF-8', '-cp', JAR, 'edu.stanford.nlp.process.PTBTokenizer', '-preserveLines', '-lowerCase', source], stdout=subprocess.PIPE, check=True).stdout.decode().split('\n')
assert len(out) == len(lines) + 1
LEFT_OUT = ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
open(os.path.join(OUT, 'ptb_tokens.txt'), 'w', encoding='utf-8', newline='\n').write(''.join(' '.join(w for w in x.rstrip().split(' ') if w not in LEFT_OUT) + '\n' for x in out[:-1]))
