#!/usr/bin/env bats
# match, embed, ask --choices. That the values are right is for test_golden_itm; here their shapes and names.
load common

# A tiny matching model with a tokenizer.
matching() {
    mkdir -p "$T/m"
    cp "$ROOT"/tests/golden/itm/*.json "$ROOT"/tests/golden/itm/model.safetensors "$T/m/"
    printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a cat dog red '##s' >"$T/m/vocab.txt"
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
    [ "$status" -eq 2 ] && one_error && grep -q "no text" "$T/err"
    blip2 match "$SAMPLES/scene000.png" "a cat"
    [ "$status" -eq 2 ] && one_error && grep -q "vision projection" "$T/err"
    blip2 match -m "$T/m" "$SAMPLES/scene000.png" "$(printf 'a\xff')"
    [ "$status" -eq 2 ] && one_error && grep -q "UTF-8" "$T/err"
    blip2 caption -m "$T/m" "$SAMPLES/scene000.png"
    [ "$status" -eq 2 ] && one_error && grep -q "matching model" "$T/err"
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
    [ "$status" -eq 2 ] && one_error && [ ! -e "$T/b.npy" ]
    blip2 embed -m "$T/m" -k text_embeds "a cat" "red dogs" -o "$T/b.safetensors"
    [ "$status" -eq 0 ]
    size=$(od -An -tu8 -N8 "$T/b.safetensors" | tr -d ' ')
    tail -c +9 "$T/b.safetensors" | head -c "$size" >"$T/header"
    [ "$(jq -c '[."0".shape, ."1".shape, ."1".data_offsets[1]]' "$T/header")" = "[[4,32],[5,32],1152]" ]
    [ "$(stat -c %s "$T/b.safetensors")" -eq $((8 + size + 1152)) ]
    blip2 embed -m "$T/m" -k multimodal_embeds "$SAMPLES/scene000.png" "a cat" -o "$T/c.jsonl"
    [ "$(jq -c '[.text, (.values | length)]' "$T/c.jsonl")" = '["a cat",6]' ]
    blip2 embed -m "$T/m" "$SAMPLES/scene000.png" -o "$T/c.txt"
    [ "$status" -eq 2 ] && one_error
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
    [ "$status" -eq 2 ] && one_error
}

@test "debug run of a matching model writes every result under its name" {
    blip2 debug run "$ROOT/tests/golden/itm" --pixels "$SAMPLES/scene000.png" --ids 2,5,7 --dump "$T/d"
    [ "$status" -eq 0 ]
    for name in vision.embeddings vision.layer0 vision.out qformer.layer0 qformer.out image_features text_embeds \
        text_features multimodal_all multimodal_embeds itm_logits itc_sim; do
        [ -s "$T/d/$name.npy" ]
    done
    blip2 debug run "$ROOT/tests/golden/itm" --pixels "$SAMPLES/scene000.png" --ids 2,500 --dump "$T/e"
    [ "$status" -eq 1 ] && one_error
}
