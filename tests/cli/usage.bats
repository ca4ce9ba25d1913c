#!/usr/bin/env bats
# The command line itself.
load common

usage() { # PATTERN ARGUMENTS...
    pattern=$1
    shift
    blip2 "$@"
    failed 2 "$pattern"
}

@test "unknown commands and options get the nearest one suggested" {
    usage "blip2: unknown option --num-beam; did you mean --num-beams?" caption --num-beam 3 x
    usage "blip2: unknown option --num-beam; did you mean --num-beams?" caption --num-beam=3 x
    usage "*unknown option --beams; did you mean --num-beams?" caption --beams 3 x
    usage "*unknown option --thread; did you mean --threads?" caption --thread 3 x
    usage "*unknown command captoin; did you mean blip2 caption?" captoin x
    usage "*unknown command debug tokenise; did you mean blip2 debug tokenize?" debug tokenise x
    usage "*unknown command scene000.png; did you mean blip2 caption scene000.png?" scene000.png
    usage "*unknown option --qqqqqqqq; see *" caption --qqqqqqqq x
    usage "*unknown option -x*" caption -x x
    usage "*unknown command*" zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz
}

@test "names of other programs are known" {
    usage "*did you mean --num-captions?" caption x.png --num-return-sequences 3
    usage "*did you mean --num-captions?" caption x.png --num_return_sequences=3
    usage "*did you mean --sample?" caption x.png --use-nucleus-sampling
    usage "*did you mean --dtype int8?" caption x.png --load_in_8bit
    usage "*did you mean --num-beams?" caption x.png --num_beams 3
}

@test "options of other commands are refused" {
    usage "blip2: show: --num-beams *" show --num-beams 3
    usage "blip2: caption: --synthetic *" caption --synthetic opt-2.7b x
}

@test "numbers are checked; option and value are named" {
    usage "blip2: --num-beams: expected a whole number from 1 to 256, got 'five'" caption --num-beams five x
    usage "blip2: --num-beams: * got '0'" caption --num-beams 0 x
    usage "blip2: --num-beams: * got '1.5'" caption --num-beams 1.5 x
    usage "blip2: --num-beams: * got ''" caption --num-beams= x
    usage "blip2: --num-beams: * got '99999999999999999999'" caption --num-beams 99999999999999999999 x
    usage "blip2: --temperature: * got 'nan'" caption --temperature nan x
    usage "blip2: --temperature: * got '0'" caption --temperature 0 x
    usage "blip2: --top-p: * got '1.1'" caption --top-p 1.1 x
    usage "blip2: --seed: * got '-1'" caption --seed -1 x
    usage "blip2: --seed: * got '18446744073709551616'" caption --seed 18446744073709551616 x
    usage "blip2: --dtype: expected f32|bf16|f16|int8|int4|mixed (or float32, fp32, bfloat16, float16, fp16, half), got 'f64'" caption --dtype f64 x
    usage "blip2: --early-stopping: * got 'maybe'" caption --early-stopping maybe x
    usage "blip2: --threads: * got '0'" caption --threads 0 x
}

@test "missing and superfluous values and arguments" {
    usage "blip2: --seed needs a value*" caption --seed
    usage "blip2: --json takes no value, got 'yes'" caption --json=yes x
    usage "blip2: caption: too few arguments*" caption
    usage "blip2: ask: the question is missing, *" ask scene000.png
    usage "blip2: ask: too few arguments*" ask
    usage "blip2: doctor: superfluous argument 'x'*" doctor x
    usage "blip2: the command is missing*"
    usage "blip2: debug: the command is missing*" debug
    usage "*--pixels*" debug run scenes
    usage "*--decoder-ids*" debug run scenes --pixels scene000.png --decoder-ids 0
    usage "*--ids: * got '2,,3'" debug run scenes --pixels scene000.png --ids 2,,3
}

@test "-- ends the options" {
    cp scene002.png "$T/--json"
    cd "$T"
    blip2 caption -- --json
    [ "$status" -eq 0 ]
    [ "$out" = "a rabbit on a blue background" ]
}

@test "help: every command is documented with examples, in 80 columns" {
    blip2 --help
    [ "$status" -eq 0 ]
    for verb in caption ask chat show doctor score data bench help version debug; do
        grep -q "^  $verb" <<<"$out"
    done
    for verb in caption ask chat show doctor score data bench help version "debug tokenize" "debug detokenize" "debug preprocess" "debug run"; do
        blip2 help $verb
        [ "$status" -eq 0 ]
        grep -q Examples <<<"$out"
        plain=$out
        blip2 $verb --help
        [ "$out" = "$plain" ]
        [ "$(sed -n '/^Examples/,/^$/d; p' <<<"$out" | awk '{ if (length > n) n = length } END { print n }')" -le 80 ]
    done
    usage "*nonsense*" help nonsense
}

@test "every option is in the help of its commands, the man page and the completions" {
    options=$(for v in caption ask chat show doctor score data bench "debug preprocess" "debug run"; do "$BLIP2" help $v; done |
        grep -Eo '^ +(-[a-zA-Z], )?--[a-z0-9-]+' | grep -Eo -- '--[a-z0-9-]+' | sort -u)
    [ "$(wc -l <<<"$options")" -gt 25 ]
    "$BLIP2" help man >"$T/man"
    for shell in bash zsh fish; do "$BLIP2" help completion $shell >"$T/$shell"; done
    for option in $options; do
        grep -qF "$(sed 's/-/\\-/g' <<<"$option")" "$T/man"
        grep -qF -- "$option" "$T/bash"
        grep -qF -- "$option" "$T/zsh"
        grep -qF -- "-l ${option#--}" "$T/fish"
    done
    usage "*bash, zsh or fish, got 'tcsh'" help completion tcsh
}

@test "the man page is well formed" {
    "$BLIP2" help man >"$T/blip2.1"
    [ "$(head -c 9 "$T/blip2.1")" = ".TH BLIP2" ]
    for section in NAME SYNOPSIS COMMANDS OPTIONS EXAMPLES "EXIT STATUS"; do
        grep -q "^.SH $section" "$T/blip2.1"
    done
    if command -v mandoc >/dev/null; then
        mandoc -T lint -W error "$T/blip2.1"
    fi
}

@test "the bash completion completes names with spaces" {
    touch "$T/my photo.jpg"
    cat >"$T/run" <<'END'
source "$1"
cd "$2"
COMP_WORDS=(blip2 caption my) COMP_CWORD=2
_blip2
printf '%s\n' "${COMPREPLY[@]}"
END
    "$BLIP2" help completion bash >"$T/completion"
    [ "$(bash "$T/run" "$T/completion" "$T")" = "my photo.jpg" ]
}

@test "the bash completion completes" {
    "$BLIP2" help completion bash >"$T/c"
    run bash -c '. "$1"; COMP_WORDS=(blip2 caption --num-b); COMP_CWORD=2; _blip2; echo "${COMPREPLY[@]}"
        COMP_WORDS=(blip2 capt); COMP_CWORD=1; _blip2; echo "${COMPREPLY[@]}"
        COMP_WORDS=(blip2 caption --generation h); COMP_CWORD=3; _blip2; echo "${COMPREPLY[@]}"
        COMP_WORDS=(blip2 debug r); COMP_CWORD=2; _blip2; echo "${COMPREPLY[@]}"
        COMP_WORDS=(blip2 pull opt-6); COMP_CWORD=2; _blip2; echo "${COMPREPLY[@]}"' - "$T/c"
    [ "$output" = "--num-beams
caption
hf
run
opt-6.7b opt-6.7b-coco" ]
}

@test "--version" {
    blip2 --version
    [[ $out =~ ^blip2\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}
