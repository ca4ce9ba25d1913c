#!/usr/bin/env bats
# Many pictures: read ahead, computed together, done in their order whatever becomes of some of them.
load common

one_error_like() {
    [ "$(wc -l <"$T/err")" -eq 1 ] && grep -q "^blip2: $1\$" "$T/err"
}

# 64 paths in the order of the samples, again and again: $many; and what is right for them: $T/want.
crowd() {
    many=""
    : >"$T/want"
    for i in $(seq 0 63); do
        file=$(printf 'scene%03d.png' $((i % 12)))
        many="$many $file"
        jq -r --arg f "$file" 'select(.file == $f) | .file + ": " + .caption' "$CASES" >>"$T/want"
    done
    [ "$(wc -l <"$T/want")" -eq 64 ]
}

@test "64 pictures: all right and in order, whatever the number computed together, threads and search" {
    crowd
    for how in "" "--batch 1" "--batch 3" "--batch 64" "-t 1" "-t 3" "--num-beams 1" "--num-beams 2" "--generation hf"; do
        echo "$how"
        # shellcheck disable=SC2086 # words
        "$BLIP2" caption $how $many | cmp - "$T/want"
    done
}

@test "64 pictures: every number of the JSON is that of a picture alone" {
    crowd
    # shellcheck disable=SC2086
    "$BLIP2" caption --json $many | jq -c 'del(.timings_ms)' >"$T/together"
    for i in 00 01 02 03 04 05 06 07 08 09 10 11; do
        "$BLIP2" caption --json "scene0$i.png" | jq -c 'del(.timings_ms)'
    done >"$T/alone"
    for i in 1 2 3 4 5; do cat "$T/alone"; done >"$T/again"
    head -60 "$T/together" | cmp - "$T/again"
}

# Texts of very different lengths: those that end early make room for others.
@test "a long text holds nobody up, and the order stays" {
    crowd
    # shellcheck disable=SC2086
    "$BLIP2" caption --json --batch 4 --sample --seed 3 --temperature 3 --max-new-tokens 40 $many | jq -c 'del(.timings_ms)' >"$T/four"
    # shellcheck disable=SC2086
    "$BLIP2" caption --json --batch 1 --sample --seed 3 --temperature 3 --max-new-tokens 40 $many | jq -c 'del(.timings_ms)' >"$T/one"
    [ "$(jq '.token_ids | length' "$T/one" | sort -nu | wc -l)" -gt 3 ]
    cmp "$T/four" "$T/one"
}

@test "bad pictures among many are named, the others are done, in order" {
    head -c 300 scene001.png >"$T/torn.png"
    : >"$T/empty.png"
    blip2 caption --json nix.png scene000.png "$T/torn.png" scene001.png scene002.png "$T/empty.png" scene003.png \
        scene004.png scene005.png scene006.png scene007.png scene008.png scene009.png nix.png
    [ "$status" -eq 3 ]
    {
        echo bad
        captions | sed -n 1p
        echo bad
        captions | sed -n 2,3p
        echo bad
        captions | sed -n 4,10p
        echo bad
    } >"$T/want"
    jq -r 'if .error then "bad" else .text end' "$T/out" | cmp - "$T/want"
    [ "$(grep -c '^blip2: ' "$T/err")" -eq 4 ]
    grep -q 'torn.png: ' "$T/err"
    grep -q 'empty.png: ' "$T/err"
    [ "$(grep -c 'nix.png: ' "$T/err")" -eq 2 ]
}

@test "only bad pictures" {
    blip2 caption nix.png nox.png nux.png
    [ "$status" -eq 1 ]
    [ -z "$out" ]
    [ "$(wc -l <"$T/err")" -eq 3 ]
}

@test "standard input and a pipe in the middle" {
    mkfifo "$T/pipe"
    cat scene004.png >"$T/pipe" &
    blip2 caption scene000.png scene001.png - scene003.png "$T/pipe" scene005.png <scene002.png
    [ "$status" -eq 0 ]
    [ "$(sed 's/^.*: //' "$T/out")" = "$(captions | head -6)" ]
    [ "$(sed -n 3p "$T/out")" = "-: $(captions | sed -n 3p)" ]
}

@test "ask: one question about many" {
    crowd
    # shellcheck disable=SC2086
    "$BLIP2" ask $many "what color is the background?" >"$T/many"
    # shellcheck disable=SC2086
    "$BLIP2" ask --batch 1 $many "what color is the background?" | cmp - "$T/many"
    # shellcheck disable=SC2086
    "$BLIP2" ask --choices red,green,blue $many "what color is the background?" >"$T/ranked"
    # shellcheck disable=SC2086
    "$BLIP2" ask --batch 2 --choices red,green,blue $many "what color is the background?" | cmp - "$T/ranked"
    [ "$(wc -l <"$T/ranked")" -eq 192 ]
}

# The same with room for little: what has none beside others waits, and that is said once.
@test "many pictures in little memory: as many at once as there is room for" {
    crowd
    (
        ulimit -v 80000
        "$BLIP2" caption -t 1 scene000.png >/dev/null 2>&1
    ) || skip "this build needs more memory"
    status=0
    (
        ulimit -v 80000
        # shellcheck disable=SC2086
        timeout 100 "$BLIP2" caption -t 1 --batch 64 $many
    ) >"$T/out" 2>"$T/err" || status=$?
    [ "$status" -eq 0 ]
    cmp "$T/out" "$T/want"
    one_error_like "memory for [0-9]* of 64 pictures at once"
}

@test "a reader that leaves early ends it at once" {
    crowd
    # shellcheck disable=SC2086
    "$BLIP2" caption $many $many $many 2>"$T/err" | head -1 >"$T/out"
    [ "$(cat "$T/out")" = "$(head -1 "$T/want")" ]
    [ ! -s "$T/err" ]
}

@test "match and embed: pictures together and alone give the same" {
    mkdir "$T/m"
    cp "$ROOT"/tests/golden/itm/*.json "$ROOT"/tests/golden/itm/model.safetensors "$T/m/"
    printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a cat dog red '##s' >"$T/m/vocab.txt"
    head -c 300 scene001.png >"$T/torn.png"
    for how in "match -m $T/m --json" "embed -m $T/m" "embed -m $T/m --kind multimodal_embeds"; do
        words="scene000.png scene001.png $T/torn.png scene002.png scene003.png scene004.png"
        case $how in
        match*) set -- $words "a cat" "red dog" ;;
        *multi*) set -- scene000.png cat scene001.png dog "$T/torn.png" cat scene001.png red ;;
        *) set -- $words ;;
        esac
        blip2 $how "$@"
        [ "$status" -eq 3 ]
        one_error
        cp "$T/out" "$T/together"
        for n in 1 2 16; do
            echo "$how $n"
            blip2 $how --batch $n "$@"
            [ "$status" -eq 3 ]
            one_error
            cmp "$T/out" "$T/together"
        done
    done
}
