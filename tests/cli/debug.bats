#!/usr/bin/env bats
# The plumbing: shapes of input and output. That the values are right is for the unit tests.
load common

@test "tokenize and detokenize are inverse, one line for one line" {
    printf '{"text": "a cat to the left of a cow"}\n{"text": "x\\u0000y \\u00e9 \xf0\x9f\x90\xb6"}\n{"text": ""}\n' >"$T/in"
    blip2 debug tokenize scenes <"$T/in"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$T/out")" -eq 3 ]
    [ "$(jq -s 'map(.ids[0]) | unique | length' "$T/out")" -eq 1 ]
    cp "$T/out" "$T/ids"
    blip2 debug detokenize scenes <"$T/ids"
    [ "$status" -eq 0 ]
    [ "$(jq -c . "$T/out")" = "$(jq -c . "$T/in")" ]
}

@test "a bad line is answered and the others are still done" {
    printf '{"text": "a"}\nnope\n{"ids": 1}\n[]\n{"text": "a", "text": "b"}\n' >"$T/in"
    blip2 debug tokenize scenes <"$T/in"
    [ "$status" -eq 3 ]
    [ "$(wc -l <"$T/out")" -eq 5 ]
    [ "$(grep -c '"error"' "$T/out")" -eq 4 ]
    [ "$(wc -l <"$T/err")" -eq 4 ]
    printf '{"ids": [2, 2147483648]}\n{"ids": [-1]}\n{"ids": ["a"]}\n{"ids": [1e400]}\n' >"$T/in"
    blip2 debug detokenize scenes <"$T/in"
    [ "$status" -eq 1 ]
    [ "$(wc -l <"$T/err")" -eq 4 ]
}

@test "JSON nested 100000 deep" {
    head -c 100000 /dev/zero | tr '\0' '[' >"$T/in"
    blip2 debug tokenize scenes <"$T/in"
    [ "$status" -eq 1 ]
    one_error
}

@test "tokenize needs tokenizer files only" {
    mkdir "$T/tok"
    cp "$ROOT"/models/scenes/tokenizer* "$T/tok/"
    echo '{"text": "a"}' >"$T/in"
    blip2 debug tokenize "$T/tok" <"$T/in"
    [ "$status" -eq 0 ]
    [ "$out" = "$("$BLIP2" debug tokenize scenes <"$T/in")" ]
}

@test "preprocess writes PPM and NPY" {
    blip2 debug preprocess --size 30 scene000.png --u8 "$T/x.ppm" -o "$T/x.npy"
    [ "$status" -eq 0 ]
    [ -z "$out" ]
    [ "$(head -c 15 "$T/x.ppm" | tr '\n' ' ')" = "P6 30 30 255 $(head -c 15 "$T/x.ppm" | tail -c 2)" ] ||
        [ "$(head -n 2 "$T/x.ppm" | tail -n 1)" = "30 30" ]
    [ "$(wc -c <"$T/x.ppm")" -eq $((13 + 2700)) ]
    grep -aq "'shape': (3, 30, 30)" "$T/x.npy"
    [ "$(wc -c <"$T/x.npy")" -ge 10800 ]
    blip2 debug preprocess --library hf scene000.png -o "$T/y.npy"
    grep -aq "'shape': (3, 224, 224)" "$T/y.npy"
}

@test "run: generate from a picture and from its pixels gives the same" {
    blip2 debug preprocess --size 96 scene003.png -o "$T/x.npy"
    blip2 debug run scenes --pixels "$T/x.npy" --ids 2 --generate --dtype f32
    [ "$status" -eq 0 ]
    jq -e '(.ids | length) == 1 and (.ids[0] | length) > 3 and (.scores | length) == 1' <<<"$out"
    ids=$(jq -c '.ids[0]' <<<"$out")
    blip2 debug run scenes --pixels scene003.png --ids 2 --generate --dtype f32
    [ "$(jq -c '.ids[0]' <<<"$out")" = "$ids" ]
    [ "$(echo "{\"ids\": $ids}" | "$BLIP2" debug detokenize scenes | jq -r .text | tr -d '\n' | sed 's/^ *//')" = \
        "a cat to the left of a cow on a purple background" ]
}

@test "run: several sequences" {
    blip2 debug run scenes --pixels scene003.png --ids 2 --generate --num-beams 4 --num-captions 3 --generation hf
    [ "$status" -eq 0 ]
    jq -e '(.ids | length) == 3 and (.scores | length) == 3 and .scores[0] >= .scores[1]' <<<"$out"
}

@test "run --dump writes every activation" {
    blip2 debug run scenes --pixels scene003.png --ids 2,97 --dump "$T/dump"
    [ "$status" -eq 0 ]
    for name in vision.embeddings vision.layer0 vision.layer5 vision.out qformer.layer0 qformer.layer3 \
        qformer.out projection llm.layer0 llm.layer3 logits; do
        [ -s "$T/dump/$name.npy" ] || { echo "$name"; ls "$T/dump"; return 1; }
    done
}

@test "run: ids out of range and prompts that are too long are named" {
    blip2 debug run scenes --pixels scene003.png --ids 2,588 --generate
    [ "$status" -eq 1 ] || [ "$status" -eq 2 ]
    one_error
    [[ $err == *588* ]]
    blip2 debug run scenes --pixels scene003.png --ids "2$(printf ',97%.0s' $(seq 5000))" --generate
    [ "$status" -eq 1 ] || [ "$status" -eq 2 ]
    one_error
}

@test "run: a bad NPY" {
    printf '\223NUMPY\001\000\377\377{' >"$T/bad.npy"
    blip2 debug run scenes --pixels "$T/bad.npy" --ids 2
    failed 1 "*bad.npy*"
}

@test "detokenize skips ids that the vocabulary does not have, as transformers does" {
    echo '{"ids": [2, 99999999]}' | "$BLIP2" debug detokenize scenes | jq -e '.text == ""'
}
