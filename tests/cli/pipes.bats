#!/usr/bin/env bats
# Pipes and devices where files are expected: a picture may be a pipe, nothing else waits for one.
load common

# A model directory of links, in which the files named are pipes that nobody writes to.
model_with_pipes() {
    rm -rf "$T/model"
    mkdir "$T/model"
    ln -s "$ROOT"/models/scenes/* "$T/model"
    for name in "$@"; do
        rm -f "$T/model/$name"
        mkfifo "$T/model/$name"
    done
}

# blip2, which must not wait for anybody
at_once() {
    status=0
    timeout 20 "$BLIP2" "$@" >"$T/out" 2>"$T/err" || status=$?
    out=$(cat "$T/out")
    err=$(cat "$T/err")
}

@test "files of a model that are pipes: refused at once, named" {
    for name in config.json generation_config.json preprocessor_config.json tokenizer.json model.safetensors; do
        model_with_pipes "$name"
        at_once caption -m "$T/model" scene000.png
        failed 5 "*model/$name: expected a file, got a pipe"
    done
    for name in vocab.json merges.txt tokenizer_config.json special_tokens_map.json added_tokens.json; do
        model_with_pipes "$name"
        rm "$T/model/tokenizer.json"
        [ "$name" = vocab.json ] || echo '{}' >"$T/model/vocab.json"
        [ -e "$T/model/merges.txt" ] || : >"$T/model/merges.txt"
        at_once debug tokenize "$T/model" </dev/null
        failed 5 "*model/$name: expected a file, got a pipe"
    done
    model_with_pipes model.safetensors.index.json
    rm "$T/model/model.safetensors"
    at_once show "$T/model"
    failed 5 "*model.safetensors.index.json: expected a file, got a pipe"
}

@test "the stored measurement and the hub's record are pipes: as if they were not there" {
    export XDG_CACHE_HOME=$T/cache
    blip2 doctor
    stored=$(find "$T/cache" -type f)
    rm "$stored"
    mkfifo "$stored"
    at_once doctor
    [ "$status" -eq 0 ]
    [ -p "$stored" ]
    mkdir -p "$T/hub/models--a--b/refs"
    mkfifo "$T/hub/models--a--b/refs/main"
    HF_HUB_CACHE=$T/hub at_once show a/b
    failed 4 "*a/b: *"
}

@test "a picture that is a pipe" {
    want="a rabbit on a blue background"
    mkfifo "$T/picture"
    (sleep 0.2; cat scene002.png >"$T/picture") &
    at_once caption "$T/picture"
    [ "$out" = "$want" ]
    [ "$("$BLIP2" caption <(cat scene002.png))" = "$want" ]
    [ "$(cat scene002.png | "$BLIP2" caption -)" = "$want" ]
    [ "$("$BLIP2" caption - <scene002.png)" = "$want" ]
    [ "$("$BLIP2" caption /dev/stdin <scene002.png)" = "$want" ]
    [ "$(cat scene002.png | "$BLIP2" caption /dev/stdin)" = "$want" ]
    [ "$("$BLIP2" caption /dev/fd/7 7<scene002.png)" = "$want" ]
    "$BLIP2" debug run scenes --pixels <(cat scene002.png) --ids 2 --generate >"$T/ids"
    "$BLIP2" debug run scenes --pixels scene002.png --ids 2 --generate | cmp - "$T/ids"
}

@test "what never ends is refused at once" {
    ulimit -v 4000000
    for name in /dev/zero /dev/null /dev/full; do
        at_once caption "$name"
        failed 1 "*$name: expected a file or a pipe, got a device"
    done
    at_once caption - </dev/zero
    failed 1 "*standard input: picture: not a picture*"
    (cat /dev/zero || true) 2>/dev/null | {
        at_once caption -
        failed 1 "*standard input: picture: not a picture*"
    }
    truncate -s 3G "$T/huge.png"
    at_once caption "$T/huge.png"
    failed 1 "*huge.png: expected at most 2147483648 bytes, got 3221225472"
}

@test "a line without end" {
    ulimit -v 4000000
    for verb in "debug tokenize scenes" "debug detokenize scenes" "chat scene000.png"; do
        # shellcheck disable=SC2086 # words
        at_once $verb </dev/zero
        failed 1 "blip2: standard input: line 1: expected at most 67108864 bytes, got more"
    done
    (printf '{"text": "a"}\n'; cat /dev/zero) 2>/dev/null | {
        at_once debug tokenize scenes
        [ "$status" -eq 3 ]
        [ "$(wc -l <"$T/out")" -eq 1 ]
    }
    printf '{"text": "a"}' | "$BLIP2" debug tokenize scenes | grep -q ids # the last line may have no end
}
