#!/usr/bin/env bats
# blip2 convert: a model as files of another kind, used like the one it came from.

load common

CAPTION="a cat to the left of a cow on a purple background"

# The score to six digits: sums over weights in panels are added in another order.
ids() {
    blip2 "$@" --json
    [ "$status" -eq 0 ] || { echo "$err"; return 1; }
    jq -c '[.text, .token_ids, (.score * 1e5 | round)]' <<<"$out"
}

@test "one file with everything captions and answers with the same ids" {
    blip2 convert "$ROOT/models/scenes" "$T/scenes.safetensors"
    [ "$status" -eq 0 ]
    [ -z "$out" ]
    [ -z "$err" ]
    cd "$T"
    for i in 003 010; do
        p=$SAMPLES/scene$i.png
        [ "$(ids caption "$p")" = "$(ids caption -m scenes.safetensors "$p")" ]
        [ "$(ids caption -g hf "$p")" = "$(ids caption -g hf -m scenes.safetensors "$p")" ]
        [ "$(ids ask "$p" "what is there?")" = "$(ids ask -m ./scenes.safetensors "$p" "what is there?")" ]
        [ "$(ids caption --dtype int8 "$p")" = "$(ids caption --dtype int8 -m scenes.safetensors "$p")" ]
    done
    echo '{"text": "a red car"}' >t.jsonl
    "$BLIP2" debug tokenize scenes.safetensors <t.jsonl | cmp - <("$BLIP2" debug tokenize scenes <t.jsonl)
    blip2 show scenes.safetensors --json
    [ "$(jq -r .path <<<"$out")" = scenes.safetensors ]
    [ "$(jq -r .missing <<<"$out")" = null ]
}

@test "a directory for transformers, and back to the same file" {
    blip2 convert --to hf scenes "$T/hf"
    [ "$status" -eq 0 ]
    [ -f "$T/hf/config.json" ]
    [ -f "$T/hf/tokenizer.json" ]
    [ ! -e "$T/hf.partial" ]
    blip2 caption -m "$T/hf" scene003.png
    [ "$out" = "$CAPTION" ]
    blip2 convert "$T/hf" "$T/a.safetensors"
    blip2 convert scenes "$T/b.safetensors"
    cmp "$T/a.safetensors" "$T/b.safetensors"
    blip2 convert --to hf scenes "$T/hf"
    failed 2 "*/hf: expected a new or an empty directory, got one with *"
}

@test "what LAVIS has no place for is named" {
    blip2 convert --to lavis scenes "$T/l.safetensors"
    failed 5 "*tensor \"vision_model.encoder.layers.0.self_attn.qkv.bias\": expected zeros for the keys*"
    [ ! -e "$T/l.safetensors" ]
}

@test "on a full disk it leaves nothing" {
    (ulimit -f 100; exec "$BLIP2" convert scenes "$T/x.safetensors") 2>"$T/err" && return 1
    [[ $(cat "$T/err") == *"x.safetensors: File too large" ]]
    [ -z "$(ls "$T" | grep x.safetensors || true)" ]
    blip2 convert scenes "$T/x.safetensors"
    [ "$status" -eq 0 ]
}

@test "another format asks to convert again, a directory for a file is refused" {
    blip2 convert scenes "$T/x.safetensors"
    sed -i 's/"blip2.format":"1"/"blip2.format":"7"/' "$T/x.safetensors"
    blip2 caption -m "$T/x.safetensors" scene003.png
    failed 5 "*x.safetensors: header: blip2.format: expected 1, got \"7\": *convert the model again"
    mkdir "$T/d"
    blip2 convert scenes "$T/d"
    failed 2 "*/d: expected the name of a file, got a directory"
    blip2 convert "$T/absent" "$T/y"
    failed 4 "*absent: model: *"
    blip2 convert scenes
    [ "$status" -eq 2 ]
    blip2 convert --to onnx scenes "$T/y"
    [ "$status" -eq 2 ]
}

@test "LAVIS' file without its other parts" {
    cp "$ROOT/tests/data/lavis/stage2.pth" "$T/blip2_pretrained_opt2.7b.pth"
    export TORCH_HOME=$T/none HF_HUB_CACHE=$T/none
    blip2 caption -m "$T/blip2_pretrained_opt2.7b.pth" scene003.png
    failed 4 "*vision tower: *expected eva_vit_g.pth beside it*"
    blip2 convert --to hf "$T/blip2_pretrained_opt2.7b.pth" "$T/hf" --vit "$T/nothing.pth"
    failed 5 "*nothing.pth: *"
    blip2 caption -m "$T/blip2_pretrained_opt2.7b.pth" --type nonsense scene003.png
    failed 4 "*nonsense: type: expected a published model *"
}
