#!/usr/bin/env bats
# --profile: where the time went.
load common

# stage NAME, operation NAME: the line of the table, squeezed; fails when there is none.
stage() {
    sed '/^ *operation/,$d' "$T/err" | tr -s ' ' | grep "^ $1 [0-9]"
}

operation() {
    sed '1,/^ *operation/d' "$T/err" | tr -s ' ' | grep "^ $1 [0-9]"
}

no_stage() {
    ! stage "$1"
}

calls() {
    "$1" "$2" | sed "s/^ $2 //" | cut -d' ' -f1
}

# The shares of each of the two tables, rounded to tenths, add up to 100.
shares_add_up() {
    awk '
    function check() { if (sum && (sum < 99 || sum > 101)) { print "sum " sum; bad = 1 } sum = 0 }
    /^ *operation/ { check() }
    match($0, /[0-9.]+ %/) { sum += substr($0, RSTART, RLENGTH - 2) }
    END { check(); exit bad }' "$T/err"
}

@test "caption --profile: stages and operations on standard error, the same captions" {
    blip2 caption scene000.png scene001.png
    cp "$T/out" "$T/without"
    [ -z "$err" ]
    blip2 caption --profile scene000.png scene001.png
    [ "$status" -eq 0 ]
    cmp "$T/out" "$T/without"
    head -1 "$T/err" | grep -q '^blip2: profile: [0-9.]* ms'
    [ "$(calls stage "decode picture")" = 2 ]
    [ "$(calls stage preprocess)" = 2 ]
    [ "$(calls stage "vision tower")" = 1 ] # both together
    [ "$(calls stage Q-Former)" = 1 ]
    [ "$(calls stage projection)" = 1 ]
    [ "$(calls stage prefill)" = 1 ]
    [ "$(calls stage decode)" -gt 3 ]
    [ "$(calls operation "linear, encode")" -gt "$(jq '4 * .vision_config.num_hidden_layers' "$ROOT/models/scenes/config.json")" ]
    operation "linear, decode" | grep -q '% [0-9.]* [0-9.]*$' # Gop/s and GB/s
    operation attention | grep -q '% - -$'
    operation "norms, rows"
    operation selection
    shares_add_up
}

@test "ask --profile --json: standard output is as without" {
    blip2 ask --json scene003.png "what is on the right?"
    jq -c 'del(.timings_ms)' "$T/out" >"$T/without"
    blip2 ask --json --profile scene003.png "what is on the right?"
    [ "$status" -eq 0 ]
    jq -c 'del(.timings_ms)' "$T/out" | cmp - "$T/without"
    [ "$(calls stage "decode picture")" = 1 ]
}

@test "embed --profile: the same bits, and no language model" {
    blip2 embed -k image_embeds scene003.png
    cp "$T/out" "$T/without"
    blip2 embed -k image_embeds --profile scene003.png
    [ "$status" -eq 0 ]
    cmp "$T/out" "$T/without"
    [ "$(calls stage Q-Former)" = 1 ]
    no_stage prefill
    no_stage projection
}

@test "match --profile: texts are a stage" {
    mkdir -p "$T/m"
    cp "$ROOT"/tests/golden/itm/*.json "$ROOT"/tests/golden/itm/model.safetensors "$T/m/"
    printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a cat dog red '##s' >"$T/m/vocab.txt"
    blip2 match -m "$T/m" --profile scene000.png "a cat"
    [ "$status" -eq 0 ]
    [ "$(calls stage "texts, heads")" = 1 ]
}

@test "bench --profile" {
    blip2 bench --repeat 1 --profile
    [ "$status" -eq 0 ]
    grep -q '^  encode ' "$T/out"
    [ "$(calls stage decode)" -gt 10 ]
    shares_add_up
}

@test "a picture that is none is not counted, and is a failure as before" {
    echo nothing >"$T/a.png"
    blip2 caption --profile "$T/a.png" scene000.png
    [ "$status" -eq 3 ]
    grep -q 'a.png' "$T/err"
    [ "$(calls stage "decode picture")" = 1 ]
    blip2 caption --profile "$T/a.png"
    [ "$status" -eq 1 ]
    no_stage preprocess
}

@test "--profile: not of verbs that compute nothing; not without a model" {
    blip2 show --profile
    failed 2 '*--profile*'
    blip2 caption --profile -m nowhere scene000.png
    failed 4 '*nowhere*'
}
