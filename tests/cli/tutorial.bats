#!/usr/bin/env bats
# docs/tutorial: every command of a page runs. Where a page names a published model, a tiny one lies under that name in a
# cache: what is printed then is not looked at. Blocks of "$ command" are of the embedded model, and say what it prints.
load common

PAGES="generation features matching"

# cached REPOSITORY FILES...: they are a model of the cache.
cached() {
    commit=0123456789abcdef0123456789abcdef01234567
    model=$HF_HUB_CACHE/models--Salesforce--$1
    shift
    mkdir -p "$model/refs" "$model/snapshots/$commit"
    printf %s $commit >"$model/refs/main"
    cp "$@" "$model/snapshots/$commit"
}

stand_ins() {
    export HF_HUB_CACHE=$T/cache HF_HUB_OFFLINE=1
    cached blip2-flan-t5-xl "$ROOT"/models/scenes/*.json "$ROOT"/models/scenes/model.safetensors
    printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a cat dog red '##s' >"$T/vocab.txt"
    cached blip2-itm-vit-g "$T/vocab.txt" "$ROOT"/tests/golden/itm/*.json "$ROOT"/tests/golden/itm/model.safetensors
    mkdir "$T/work" "$T/bin"
    ln -s "$BLIP2" "$T/bin/blip2"
    PATH=$T/bin:$PATH
    cp "$IMAGES/valid/merlion.png" "$T/work/merlion.png"
    cp scene000.png "$T/work/other.jpg"
    cd "$T/work" || return 1
}

# The lines between ```KIND and ```.
blocks() {
    awk -v kind="\`\`\`$2" '$0 == "```" { on = 0 } on; $0 == kind { on = 1 }' "$ROOT/docs/tutorial/$1.md"
}

@test "the commands for published models run, in order" {
    stand_ins
    for page in $PAGES; do
        blocks "$page" sh >"$T/commands"
        [ "$(grep -c ^ "$T/commands")" -gt 3 ]
        while IFS= read -r line; do
            case $line in
            "blip2 pull "*) continue ;; # pull.bats has a hub
            esac
            bash -o pipefail -c "$line" >"$T/out" 2>"$T/err" </dev/null || {
                echo "$page: $line: $(cat "$T/err")"
                return 1
            }
            [ -s "$T/out" ] || [[ $line == *" -o "* || $line == *" > "* ]] || { echo "$page: $line: nothing"; return 1; }
        done <"$T/commands"
    done
    [ -s both.npy ]
    [ -s pictures.npy ]
    [ -s tower.npy ]
    [ -s texts.safetensors ]
}

@test "the similarity that a page computes from features is match's itc" {
    stand_ins
    blocks features sh | grep -v ^blip2.pull >"$T/commands"
    bash "$T/commands" >"$T/out" 2>"$T/err"
    product=$(grep -E '^-?[01]\.[0-9]{6}' "$T/out")
    itc=$(sed -n 's/.*itc *\(-*[0-9.]*\).*/\1/p' "$T/out")
    [ "$(jq -n "($product - $itc) | fabs < 0.00006")" = true ] || { echo "$product, $itc"; return 1; }
}

@test "the embedded model prints what the pages show" {
    mkdir "$T/bin"
    ln -s "$BLIP2" "$T/bin/blip2"
    PATH=$T/bin:$PATH
    for page in generation features; do
        blocks "$page" console >"$T/shown"
        [ -s "$T/shown" ]
        grep '^\$ ' "$T/shown" | while IFS= read -r line; do
            echo "$line"
            bash -c "${line#??}" 2>/dev/null </dev/null
        done >"$T/out"
        diff "$T/shown" "$T/out"
    done
}
