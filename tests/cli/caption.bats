#!/usr/bin/env bats
load common

@test "all captions of the samples, in order, in one run" {
    blip2 caption scene0*.png
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    [ "$out" = "$(jq -r '.file + ": " + .caption' "$CASES")" ]
}

@test "one picture is one plain line" {
    blip2 caption scene003.png
    [ "$status" -eq 0 ]
    [ "$out" = "a cat to the left of a cow on a purple background" ]
}

@test "1 and 2 threads give the same" {
    "$BLIP2" caption --threads 1 --json scene0*.png | jq -c 'del(.timings_ms)' >"$T/one"
    "$BLIP2" caption --threads 2 --json scene0*.png | jq -c 'del(.timings_ms)' >"$T/two"
    [ "$(wc -l <"$T/one")" -eq 12 ]
    cmp "$T/one" "$T/two"
}

@test "a picture alone and among others gives the same" {
    "$BLIP2" caption --threads 1 --json scene0*.png | jq -c 'del(.timings_ms)' >"$T/many"
    "$BLIP2" caption --threads 1 --json --batch 1 scene0*.png | jq -c 'del(.timings_ms)' >"$T/single"
    "$BLIP2" caption --threads 1 --json --batch 5 scene0*.png | jq -c 'del(.timings_ms)' >"$T/five"
    for i in 00 05 11; do
        "$BLIP2" caption --threads 1 --json "scene0$i.png" | jq -c 'del(.timings_ms)'
    done >"$T/alone"
    [ "$(wc -l <"$T/many")" -eq 12 ]
    cmp "$T/many" "$T/single"
    cmp "$T/many" "$T/five"
    sed -n '1p;6p;12p' "$T/many" | cmp - "$T/alone"
}

@test "every kernel set of this machine gives the same text" {
    isas=$("$BLIP2" doctor --json | jq -r '.isas[]')
    [ -n "$isas" ]
    for isa in $isas; do
        echo "$isa"
        [ "$(BLIP2_ISA=$isa "$BLIP2" caption --threads 1 --json scene0*.png | jq -r .text)" = "$(captions)" ]
        [ "$(BLIP2_ISA=$isa "$BLIP2" caption --threads 1 --dtype f32 --json scene0*.png | jq -r .text)" = "$(captions)" ]
    done
}

@test "an unknown kernel set is a usage error" {
    export BLIP2_ISA=quantum
    blip2 caption scene000.png
    failed 2 "*quantum*"
}

@test "greedy search is right too" {
    blip2 caption --num-beams 1 --json scene0*.png
    [ "$(jq -r .text <<<"$out")" = "$(captions)" ]
}

@test "--json has the promised shape" {
    blip2 caption --json scene001.png
    [ "$status" -eq 0 ]
    jq -e '.image == "scene001.png" and (.text | type) == "string" and (.score | type) == "number"
        and (.token_ids | type) == "array" and (.token_ids | length) > 2 and (has("texts") | not)
        and (.timings_ms | keys) == ["decode","decode_image","encode","prefill","preprocess","qformer","total"]
        and (.timings_ms | map(type) | unique) == ["number"]
        and .timings_ms.total > 0' <<<"$out"
}

@test "--num-captions gives several, best first" {
    blip2 caption --num-captions 3 --json scene001.png
    [ "$status" -eq 0 ]
    jq -e '(.texts | length) == 3 and .texts[0] == .text' <<<"$out"
    blip2 caption --num-captions 3 scene001.png
    [ "$(wc -l <"$T/out")" -eq 3 ]
}

@test "more captions than beams is a usage error" {
    blip2 caption --num-captions 3 --num-beams 2 scene001.png scene002.png
    failed 2 "*"
}

@test "sampling: the same seed gives the same text" {
    run "$BLIP2" caption --sample --seed 5 --temperature 3 --num-captions 4 scene001.png
    [ "$status" -eq 0 ]
    first=$output
    run "$BLIP2" caption --sample --seed 5 --temperature 3 --num-captions 4 scene001.png
    [ "$output" = "$first" ]
    run "$BLIP2" caption --sample --seed 6 --temperature 3 --num-captions 4 scene001.png
    [ "$output" != "$first" ]
}

@test "--max-new-tokens limits" {
    blip2 caption --max-new-tokens 3 --num-beams 1 --json scene003.png
    [ "$status" -eq 0 ]
    [ "$(jq '.token_ids | length' <<<"$out")" -le 3 ]
}

@test "--generation hf, options anywhere, --option=value" {
    blip2 --json caption scene003.png --generation=hf --num-beams 1
    [ "$status" -eq 0 ]
    jq -e '.text | startswith("a cat")' <<<"$out"
}

@test "--prompt begins the caption" {
    blip2 caption --prompt "a photo of" scene002.png
    [ "$status" -eq 0 ]
    [[ $out == *rabbit* ]]
}

@test "a picture from standard input" {
    blip2 caption - <scene003.png
    [ "$status" -eq 0 ]
    [ "$out" = "a cat to the left of a cow on a purple background" ]
}

@test "every picture format" {
    for file in "$IMAGES"/valid/* "$IMAGES"/tiff/*_lzw.tif; do
        case $file in
        *.png | *.jpg | *.jpeg | *.webp | *.gif | *.bmp | *.ppm | *.pgm | *.tif) echo "$file" ;;
        esac
    done >"$T/list"
    mapfile -t list <"$T/list"
    [ "${#list[@]}" -gt 3 ]
    blip2 caption --threads 1 "${list[@]}"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$T/out")" -eq "${#list[@]}" ]
}

@test "a path that is not UTF-8 does not break the JSON" {
    cp scene001.png "$T/$(printf 'x\377y.png')"
    blip2 caption --json "$T/$(printf 'x\377y.png')"
    [ "$status" -eq 0 ]
    jq -e '.image | endswith("/x\ufffdy.png")' <<<"$out"
}

@test "names that are not UTF-8 stay different in JSON" {
    for name in 'a\377.png' 'a\376.png' 'ab\303.png' 'abc\200.png' 'é.png'; do
        printf -v path '%s/%b' "$T" "$name"
        cp scene001.png "$path"
        blip2 caption -b 1 --json "$path" "$path.not"
        [ "$(jq -s '.[0].text' "$T/out")" = '"two strawberries on a gray background"' ]
        if [ "$name" = é.png ]; then
            jq -se 'map(has("image_bytes")) == [false, false] and (.[0].image | endswith("é.png"))' "$T/out"
        else
            jq -rs '.[0].image_bytes' "$T/out" | base64 -d | cmp - <(printf '%s' "$path")
            jq -rs '.[1].image_bytes' "$T/out" | base64 -d | cmp - <(printf '%s.not' "$path")
        fi
    done
    printf -v path '%s/m%b' "$T" '\377'
    ln -s "$ROOT/models/scenes" "$path"
    [ "$("$BLIP2" show --json "$path" | jq -r .path_bytes | base64 -d | od -c)" = "$(printf '%s' "$path" | od -c)" ]
}

@test "on a terminal the text appears and is the same" {
    needs_terminal
    TERM=xterm script -qec "$BLIP2 caption scene003.png" /dev/null </dev/null >"$T/out"
    [ "$(tr -d '\r' <"$T/out" | sed 's/^\^D//; s/\x08//g')" = "a cat to the left of a cow on a purple background" ]
}
