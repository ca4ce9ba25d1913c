#!/usr/bin/env bats
# match, embed, ask --choices. That the values are right is for test_golden_itm; here their shapes and names.
load common

# A tiny matching model with a tokenizer.
matching() {
    mkdir -p "$T/m"
    cp "$ROOT"/tests/golden/itm/*.json "$ROOT"/tests/golden/itm/model.safetensors "$T/m/"
    printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a cat dog red '##s' >"$T/m/vocab.txt"
}

# One that captions as well, and its words: what LAVIS' stage 1 saves.
captioning() {
    mkdir -p "$T/c"
    cp "$ROOT"/tests/golden/caption/*.json "$ROOT"/tests/golden/caption/model.safetensors \
        "$ROOT/tests/golden/match/vocab.txt" "$T/c/"
}

# Four pictures of which the third is none.
album() {
    mkdir -p "$T/p"
    cp "$SAMPLES/scene000.png" "$T/p/a.png"
    cp "$SAMPLES/scene001.png" "$T/p/b.png"
    head -c 500 "$SAMPLES/scene002.png" >"$T/p/c.png"
    cp "$SAMPLES/scene003.png" "$T/p/d.png"
}

@test "match names both scores, for each picture and text" {
    matching
    blip2 match -m "$T/m" "$SAMPLES/scene000.png" "$SAMPLES/scene001.png" "a cat" "red dogs"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$T/out")" -eq 4 ]
    [ "$(grep -c 'itm 0\.[0-9]*  itc [ -][0-9.]*  ' "$T/out")" -eq 4 ]
    grep -q "^$SAMPLES/scene001.png: itm .*red dogs$" "$T/out"
}

@test "match --json: a picture that is not there fails alone" {
    matching
    blip2 match -m "$T/m" --json "$SAMPLES/scene000.png" nothing.png "$SAMPLES/scene001.png" "a cat"
    [ "$status" -eq 3 ]
    [ "$(jq -c '[has("itm"), has("itc"), has("error")]' "$T/out" | tr '\n' ' ')" = \
        "[true,true,false] [false,false,true] [true,true,false] " ]
    one_error
}

@test "match: a pair does not depend on its neighbours" {
    matching
    blip2 match -m "$T/m" --json "$SAMPLES/scene000.png" "a cat" "red dogs" "dog"
    cp "$T/out" "$T/together"
    for text in "a cat" "red dogs" "dog"; do
        blip2 match -m "$T/m" --json "$SAMPLES/scene000.png" "$text"
        cat "$T/out" >>"$T/alone"
    done
    cmp "$T/together" "$T/alone"
}

@test "match: LAVIS cleans and cuts a text, hf does not" {
    matching
    blip2 match -m "$T/m" --json "$SAMPLES/scene000.png" "A Cat!" "a cat"
    [ "$(jq -s '.[0].itm == .[1].itm' "$T/out")" = true ]
    blip2 match -m "$T/m" --library hf --json "$SAMPLES/scene000.png" "A Cat!" "a cat"
    [ "$(jq -s '.[0].itm == .[1].itm' "$T/out")" = false ]
    long=$(yes a | head -36 | tr '\n' ' ')
    blip2 match -m "$T/m" "$SAMPLES/scene000.png" "$long"
    [ "$status" -eq 0 ]
    grep -q "cut to 32 of 38 tokens" "$T/err"
    blip2 match -m "$T/m" --library hf "$SAMPLES/scene000.png" "$long"
    [ ! -s "$T/err" ]
}

@test "match: what makes no sense" {
    matching
    blip2 match -m "$T/m" "$SAMPLES/scene000.png" "$SAMPLES/scene001.png"
    [ "$status" -eq 2 ]
    one_error
    grep -q "no text" "$T/err"
    blip2 match "$SAMPLES/scene000.png" "a cat"
    [ "$status" -eq 2 ]
    one_error
    grep -q "vision projection" "$T/err"
    blip2 match -m "$T/m" "$SAMPLES/scene000.png" "$(printf 'a\xff')"
    [ "$status" -eq 2 ]
    one_error
    grep -q "UTF-8" "$T/err"
    blip2 caption -m "$T/m" "$SAMPLES/scene000.png"
    [ "$status" -eq 2 ]
    one_error
    grep -q "matching model" "$T/err"
}

@test "match: a folder with a picture that is damaged: the others are done" {
    matching
    album
    blip2 match -m "$T/m" --json "$T/p" "a cat" "red dogs"
    [ "$status" -eq 3 ]
    one_error && grep -q "/c.png: picture: " "$T/err"
    [ "$(jq -r '[(.image | sub(".*/"; "")), .text, has("itm")] | join(" ")' "$T/out")" = "a.png a cat true
a.png red dogs true
b.png a cat true
b.png red dogs true
c.png a cat false
c.png red dogs false
d.png a cat true
d.png red dogs true" ]
    grep '/d.png' "$T/out" >"$T/last"
    blip2 match -m "$T/m" --json "$T/p/d.png" "a cat" "red dogs"
    cmp "$T/out" "$T/last"
    blip2 match -m "$T/m" "$T/p" "a cat"
    [ "$status" -eq 3 ]
    one_error
    [ "$(wc -l <"$T/out")" -eq 3 ]
    blip2 match -m "$T/m" "$T/p/c.png" "a cat" "red dogs"
    failed 1 "*/c.png: picture: *"
}

@test "match, embed: what is to be known of a picture is said once" {
    matching
    for words in 'match -m m grey.png a cat' 'embed -m m grey.png' 'ask -m scenes grey.png what? --choices a,b'; do
        cp "$IMAGES/valid/p_g16.png" "$T/grey.png"
        cd "$T"
        # shellcheck disable=SC2086 # words
        blip2 ${words/-m scenes/-m $ROOT/models/scenes}
        [ "$status" -eq 0 ]
        one_error
        [ "$err" = "blip2: grey.png: grey of more than 8 bits is read as Pillow does: values beyond 255 are white" ]
    done
}

@test "match, embed, ask --choices: memory that runs out" {
    matching
    cp -r "$ROOT/tests/golden/t5" "$T/t5"
    cp "$ROOT/tests/data/tokenizer_beside/t5.model" "$T/t5/spiece.model"
    p=$SAMPLES/scene000.png
    try() {
        whole=$("$BLIP2" "$@" -t 1) || return 1
        for n in $(seq 1 4 221); do
            blip2 "$@" -t 1 --fail-alloc "$n"
            case $status in
            0) [ "$out" = "$whole" ] && [ -z "$err" ] ;;
            3) # one of two; it is right
                grep -v '"error"' "$T/out" >"$T/done"
                one_error && [[ $err == *"out of "*"memory"* ]] && [ "$(wc -l <"$T/done")" -eq 1 ] &&
                    grep -qxF -f "$T/done" <<<"$whole"
                ;;
            *) failed 6 "*out of *memory*" ;;
            esac || { echo "$1, $n: $status $err"; return 1; }
        done
        [ "$status" -eq 0 ] # all of them have come
    }
    try match -m "$T/m" "$p" "a cat" "red dogs"
    try embed -m "$T/m" -k multimodal_embeds "$p" "a cat" "$SAMPLES/scene001.png" "red dogs"
    try embed -m "$T/m" -k text_embeds "a cat" "red dogs"
    try ask -m "$T/t5" "$p" "what is it" --choices "a cat,dog"
}

@test "embed: lines, and what --pool leaves" {
    matching
    blip2 embed -m "$T/m" "$SAMPLES/scene000.png" "$SAMPLES/scene001.png"
    [ "$status" -eq 0 ]
    [ "$(jq -c '[.kind, (.values | length), (.values[0] | length)]' "$T/out" | sort -u)" = '["image_embeds_proj",6,24]' ]
    cp "$T/out" "$T/all"
    blip2 embed -m "$T/m" --pool first "$SAMPLES/scene000.png"
    [ "$(jq -c .values "$T/out")" = "$(head -1 "$T/all" | jq -c '.values[0]')" ]
    blip2 embed -m "$T/m" --pool max "$SAMPLES/scene000.png"
    [ "$(jq -c .values "$T/out")" = "$(head -1 "$T/all" | jq -c '.values | transpose | map(max)')" ]
    blip2 embed -m "$T/m" -k text_embeds_proj "a cat" "red dogs"
    [ "$(jq -c '[.text, (.values | length)]' "$T/out" | tr '\n' ' ')" = '["a cat",4] ["red dogs",5] ' ]
}

@test "embed: arrays in files" {
    matching
    blip2 embed -m "$T/m" -k vision "$SAMPLES/scene000.png" nothing.png -o "$T/a.npy"
    [ "$status" -eq 3 ]
    [ "$(head -c 128 "$T/a.npy" | grep -ao "(2, 17, 48)")" = "(2, 17, 48)" ]
    [ "$(stat -c %s "$T/a.npy")" -eq $((128 + 2 * 17 * 48 * 4)) ]
    blip2 embed -m "$T/m" -k text_embeds "a cat" "red dogs" -o "$T/b.npy"
    [ "$status" -eq 2 ]
    one_error
    [ ! -e "$T/b.npy" ]
    blip2 embed -m "$T/m" -k text_embeds "a cat" "red dogs" -o "$T/b.safetensors"
    [ "$status" -eq 0 ]
    size=$(od -An -tu8 -N8 "$T/b.safetensors" | tr -d ' ')
    tail -c +9 "$T/b.safetensors" | head -c "$size" >"$T/header"
    [ "$(jq -c '[."0".shape, ."1".shape, ."1".data_offsets[1]]' "$T/header")" = "[[4,32],[5,32],1152]" ]
    [ "$(stat -c %s "$T/b.safetensors")" -eq $((8 + size + 1152)) ]
    blip2 embed -m "$T/m" -k multimodal_embeds "$SAMPLES/scene000.png" "a cat" -o "$T/c.jsonl"
    [ "$(jq -c '[.text, (.values | length)]' "$T/c.jsonl")" = '["a cat",6]' ]
    blip2 embed -m "$T/m" "$SAMPLES/scene000.png" -o "$T/c.txt"
    [ "$status" -eq 2 ]
    one_error
}

@test "embed: a folder with a picture that is damaged: the others are done" {
    matching
    album
    blip2 embed -m "$T/m" --pool mean "$T/p"
    [ "$status" -eq 3 ]
    one_error && grep -q "/c.png: picture: " "$T/err"
    [ "$(jq -r '[(.image | sub(".*/"; "")), has("values"), has("error")] | join(" ")' "$T/out")" = "a.png true false
b.png true false
c.png false true
d.png true false" ]
    tail -1 "$T/out" >"$T/last"
    blip2 embed -m "$T/m" --pool mean "$T/p/d.png"
    cmp "$T/out" "$T/last"
    blip2 embed -m "$T/m" --pool mean "$T/p" -o "$T/x.npy"
    [ "$status" -eq 3 ]
    one_error
    [ "$(head -c 128 "$T/x.npy" | grep -ao "(4, 24)")" = "(4, 24)" ]
    # a row for each picture; that of c.png is not a number
    [ "$(od -An -v -tf4 -w96 -j128 "$T/x.npy" | grep -c nan)" -eq 1 ]
    [ "$(od -An -v -tf4 -w96 -j320 -N96 "$T/x.npy" | grep -o nan | wc -l)" -eq 24 ]
    blip2 embed -m "$T/m" "$T/p/c.png" -o "$T/y.npy"
    failed 1 "*/c.png: picture: *"
    [ ! -e "$T/y.npy" ]
}

@test "LAVIS' stage 1 in one .pth: it captions, matches, and answers no questions" {
    captioning
    blip2 convert --to lavis "$T/c" "$T/c.pth"
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    grep -aq '"Qformer.cls.predictions.transform.dense.weight"' "$T/c.pth"
    for words in "caption" "caption -b 1" "caption -g hf"; do
        # shellcheck disable=SC2086 # words
        blip2 $words -m "$T/c" "$SAMPLES/scene000.png" "$SAMPLES/scene001.png"
        [ "$status" -eq 0 ]
        [ -z "$err" ]
        [ "$(wc -l <"$T/out")" -eq 2 ]
        cp "$T/out" "$T/wanted"
        # shellcheck disable=SC2086
        blip2 $words -m "$T/c.pth" "$SAMPLES/scene000.png" "$SAMPLES/scene001.png"
        [ "$status" -eq 0 ]
        [ -z "$err" ]
        cmp "$T/out" "$T/wanted"
    done
    blip2 match -m "$T/c" --json "$SAMPLES/scene000.png" "a cat" "red dogs"
    cp "$T/out" "$T/wanted"
    blip2 match -m "$T/c.pth" --json "$SAMPLES/scene000.png" "a cat" "red dogs"
    [ "$status" -eq 0 ]
    cmp "$T/out" "$T/wanted"
    blip2 ask -m "$T/c.pth" "$SAMPLES/scene000.png" "what is it?"
    failed 2 "*answers no questions"
    blip2 ask -m "$T/c.pth" "$SAMPLES/scene000.png" "what is it?" --choices "a,b"
    failed 2 "*answers no questions"
    blip2 caption -m "$T/c.pth" "$SAMPLES/scene000.png" --prompt "a"
    failed 2 "*a matching model captions without one"
}

@test "ask --choices: the likeliest first, and the score that generating gives" {
    blip2 ask "$SAMPLES/scene001.png" "what color is the background?" --choices "red, gray,blue" --json
    [ "$status" -eq 0 ]
    [ "$(jq -r .text "$T/out")" = gray ]
    [ "$(jq '.choices | length' "$T/out")" -eq 3 ]
    [ "$(jq '(.choices | map(.probability) | add) - 1 | fabs < 1e-9' "$T/out")" = true ]
    score=$(jq .score "$T/out")
    blip2 ask "$SAMPLES/scene001.png" "what color is the background?" --num-beams 1 --json
    [ "$(jq --argjson s "$score" '.text == "gray" and (.score - $s | fabs) < 1e-5' "$T/out")" = true ]
}

@test "ask --choices: from a file, and in any company" {
    for i in $(seq 40); do echo "gray $i"; done >"$T/list"
    echo gray >>"$T/list"
    blip2 ask "$SAMPLES/scene001.png" "what color is the background?" --choices "$T/list" --json
    [ "$(jq '.choices | length' "$T/out")" -eq 41 ]
    many=$(jq '.choices[] | select(.text == "gray") | .score' "$T/out")
    blip2 ask "$SAMPLES/scene001.png" "what color is the background?" --choices gray --json
    [ "$(jq '.choices[0].score' "$T/out")" = "$many" ]
    blip2 ask "$SAMPLES/scene001.png" "what?" --choices " , "
    [ "$status" -eq 2 ]
    one_error
}

@test "debug run of a matching model writes every result under its name" {
    blip2 debug run "$ROOT/tests/golden/itm" --pixels "$SAMPLES/scene000.png" --ids 2,5,7 --dump "$T/d"
    [ "$status" -eq 0 ]
    for name in vision.embeddings vision.layer0 vision.out qformer.layer0 qformer.out image_features text_embeds \
        text_features multimodal_all multimodal_embeds itm_logits itc_sim; do
        [ -s "$T/d/$name.npy" ]
    done
    blip2 debug run "$ROOT/tests/golden/itm" --pixels "$SAMPLES/scene000.png" --ids 2,500 --dump "$T/e"
    [ "$status" -eq 1 ]
    one_error
}
