#!/usr/bin/env bats
# Options that contradict each other, change nothing or come to nothing: an error or a notice, one line.
load common

# noted PATTERN ARGUMENTS...: done, with one notice.
noted() {
    pattern=$1
    shift
    blip2 "$@"
    [ "$status" -eq 0 ] || { echo "status $status: $err"; return 1; }
    one_error || return 1
    # shellcheck disable=SC2053
    [[ $err == $pattern ]] || { echo "got: $err"; return 1; }
}

@test "options without effect are named, with the reason" {
    for option in "--top-p 0.5" "--top-k 3" "--temperature 0.5" "--seed 3"; do
        # shellcheck disable=SC2086
        noted "blip2: ${option% *}: no effect without --sample" caption scene002.png $option
        # shellcheck disable=SC2086
        silent caption scene002.png --sample $option
    done
    for option in "--length-penalty 2" "--early-stopping true"; do
        # shellcheck disable=SC2086
        noted "blip2: ${option% *}: no effect with 1 beam" caption scene002.png -b 1 $option
        # shellcheck disable=SC2086
        silent caption scene002.png $option
        # shellcheck disable=SC2086
        noted "blip2: ${option% *}: no effect with 1 beam" caption scene002.png -g hf $option
    done
    noted "blip2: --max-length: no effect beside --max-new-tokens" caption scene002.png --max-length 9 -n 9
    noted "blip2: --min-length: no effect beside --min-new-tokens" caption scene002.png --min-length 2 --min-new-tokens 2 -g hf
    silent caption scene002.png --min-length 2 --min-new-tokens 2 # lavis: the longer one
    noted "blip2: --raw-prompt: questions *" ask scene002.png "what is it?" --raw-prompt "Question: what is in the picture? Answer:"
    silent ask scene002.png "" --raw-prompt "Question: what is in the picture? Answer:"
    blip2 caption scene002.png scene003.png --top-p 0.5 # once, not for each picture
    one_error
}

@test "ask --choices: nothing is generated, and options of that have no effect" {
    silent ask scene001.png "what color is the background?" --choices "red,gray"
    ranked=$out
    for option in "--num-beams 3" "--max-new-tokens 3" "--min-new-tokens 2" "--max-length 9" "--min-length 2" \
        "--length-penalty 2" "--repetition-penalty 2" "--no-repeat-ngram 2" "--early-stopping true" "--num-captions 2" \
        "--sample" "--top-k 3" "--top-p 0.5" "--temperature 2" "--seed 3"; do
        # shellcheck disable=SC2086
        noted "blip2: ${option% *}: no effect beside --choices" ask scene001.png "what color is the background?" --choices "red,gray" $option
        [ "$out" = "$ranked" ]
    done
    blip2 ask scene001.png scene002.png "what?" --choices "red,gray" -s -b 3 # each once, not for each picture
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$T/err")" -eq 2 ]
    for rules in lavis hf; do # whose template, still counts
        silent ask scene001.png "what color is the background?" --choices "red,gray" --json -g $rules
        jq -c .choices "$T/out" >"$T/$rules"
    done
    [ "$(cat "$T/lavis")" != "$(cat "$T/hf")" ]
    blip2 ask scene001.png "what?" --choices "red,gray" -c 9
    failed 2 "blip2: generation: captions: expected at most the 5 beams, got 9"
}

@test "chat: options without effect" {
    echo "what is in the picture?" >"$T/in"
    noted "blip2: --num-captions: no effect without --json*" chat scene002.png -c 2 <"$T/in"
    silent chat --json scene002.png -c 2 <"$T/in"
    noted "blip2: --raw-prompt: questions *" chat scene002.png --raw-prompt x <"$T/in"
}

@test "debug run: options without effect" {
    noted "blip2: --num-beams: no effect without --generate" debug run scenes --pixels scene000.png --ids 2 --num-beams 3 --dump "$T/d"
    noted "blip2: debug run: nothing is written *" debug run scenes --pixels scene000.png --ids 2
    noted "blip2: --top-k: no effect without --sample" debug run scenes --pixels scene000.png --ids 2 --generate --top-k 3
    noted "blip2: generation: expected at least 50 new tokens, but there is room for 5 only" debug run scenes --pixels scene000.png --ids 2 --generate --min-new-tokens 50 -n 5
    "$BLIP2" debug preprocess scene000.png -o "$T/x.npy"
    noted "blip2: --library: no effect on *x.npy*" debug run scenes --pixels "$T/x.npy" --ids 2 --generate --library hf
}

@test "a least length beyond the limit is said" {
    noted "*generation: expected at least 50 new tokens, but there is room for 5 only" caption scene002.png --min-new-tokens 50 --max-new-tokens 5
    noted "*generation: expected at least 29 new tokens, but there is room for 7 only" caption scene002.png --min-length 30 --max-length 8
    silent caption scene002.png --min-new-tokens 5 --max-new-tokens 5
}

@test "a prompt that ends in a space is said" {
    noted "*prompt: ends in a space*" caption scene002.png --prompt "a "
    noted "*prompt: ends in a space*" ask scene002.png "what is it?" --prompt "{} "
    noted "*prompt: ends in a space*" ask scene002.png "what is it? " -g hf
    silent ask scene002.png "what is it? "
    silent caption scene002.png --prompt "a"
}

@test "bad options come before a missing picture" {
    for option in "--num-captions 9" "--max-length 1" "--num-captions 300 --sample"; do
        # shellcheck disable=SC2086
        blip2 caption nix.png $option
        [ "$status" -eq 2 ]
        [[ $err != *nix.png* ]]
    done
    blip2 ask nix.png "what?" --prompt "no hole"
    failed 2 "blip2: prompt: expected a template with {} *"
    blip2 chat nix.png -c 9 </dev/null
    failed 2 "blip2: generation: captions: *"
    blip2 debug run scenes --pixels nix.png --ids 2 --generate -c 9 -b 3
    failed 2 "blip2: generation: captions: expected at most the 3 beams, got 9"
    blip2 debug run scenes --pixels nix.png --ids 2,,
    failed 2 "*--ids*"
}

@test "--max-length without room for a token is a usage error" {
    blip2 caption scene002.png --max-length 1
    failed 2 "blip2: generation: max length: expected more than the 1 ids that are there, got 1"
    blip2 caption scene002.png --max-length 10 -g hf
    failed 2 "blip2: generation: max length: expected more than the 1? ids that are there, got 10"
}

@test "a whole prompt needs no question" {
    blip2 ask scene001.png --raw-prompt "what is"
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    one=$out
    blip2 ask scene001.png scene001.png --raw-prompt "what is"
    [ "$out" = "scene001.png: $one"$'\n'"scene001.png: $one" ]
}

@test "a question that was forgotten or stands in front" {
    blip2 ask scene000.png
    failed 2 "blip2: ask: the question is missing, *"
    blip2 ask scene000.png scene001.png
    failed 2 "blip2: ask: expected the question behind the pictures, got the picture scene001.png"
    blip2 ask "what is it?" scene001.png
    failed 2 "blip2: ask: expected IMAGE... QUESTION, got the picture scene001.png last: *"
}

@test "standard input is read once" {
    blip2 caption - - <scene002.png
    failed 2 "blip2: -: standard input can be read only once*"
    blip2 caption - scene001.png <scene002.png
    [ "$status" -eq 0 ]
}

@test "cold beam sampling comes to an end" {
    for temperature in 1 0.1 0.01 0.001 0.000001; do
        silent caption scene003.png -s -b 3 --temperature $temperature -n 60 --min-new-tokens 60 --json
        jq -e '.score < 0 and (.token_ids | length) == 60' <<<"$out"
    done
    silent caption scene003.png -s -b 3 --temperature 0.01
    [ "$out" = "a cat to the left of a cow on a purple background" ]
}

@test "debug run: its help tells its own defaults" {
    blip2 help debug run
    [[ $out != *"default 5)"* && $out != *"5 beams"* && $out != *"caption 0.9"* && $out != *"ask 10"* ]]
    blip2 help caption
    [[ $out == *"(default 5"* ]]
}

@test "names that are empty, words that are too many" {
    blip2 caption ""
    failed 2 "blip2: caption: argument 1: expected a name, got nothing"
    blip2 ask "" "what?"
    failed 2 "blip2: ask: argument 1: *"
    for option in --model --pixels --dump; do
        blip2 debug run scenes --pixels scene000.png "$option" ""
        failed 2 "blip2: $option: expected *, got nothing"
    done
    blip2 show ""
    failed 2 "blip2: show: argument 1: *"
    for words in "debug x" "caption ask" "man x"; do
        # shellcheck disable=SC2086
        blip2 help $words
        failed 2 "blip2: help: unknown command $words; *"
    done
    blip2 debug preprocess scene000.png --u8 "$T/x" -o "$T/x"
    failed 2 "*expected two files, got one*"
    mkdir "$T/f"
    blip2 debug preprocess scene000.png --u8 "$T/f/x" -o "$T/f/../f/x"
    failed 2 "*expected two files, got one*"
    touch "$T/f/x"
    ln -s x "$T/f/y"
    blip2 debug preprocess scene000.png --u8 "$T/f/x" -o "$T/f/y"
    failed 2 "*expected two files, got one*"
    cp scene000.png "$T/f/p.png"
    for option in --u8 -o; do
        blip2 debug preprocess "$T/f/p.png" $option "$T/f/../f/p.png"
        failed 2 "*expected another file than the picture*"
    done
    cmp scene000.png "$T/f/p.png"
    noted "blip2: debug preprocess: nothing is written *" debug preprocess scene000.png
}

@test "a length penalty that no sequence survives is named" {
    blip2 caption scene002.png -g hf -b 3 --length-penalty -50
    failed 1 "blip2: scene002.png: generation: length penalty: *, got -50"
    for penalty in -100 100; do
        silent caption scene002.png --json --length-penalty $penalty
        jq -e '.score | type == "number"' <<<"$out"
        silent caption scene002.png --json -s -b 3 --temperature 0.000001 -n 100 --length-penalty $penalty
        jq -e '.score | type == "number"' <<<"$out"
    done
}
