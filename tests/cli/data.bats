#!/usr/bin/env bats
# data: list, check, prepare; downloads from a server on this machine (tests/tools/hub_server.c).
bats_require_minimum_version 1.5.0
load common
load hub

setup() {
    load common
    eval "$(declare -f setup | sed '1s/setup/common_setup/')"
    common_setup
    SETS=$ROOT/tests/data/datasets
    D=$T/lavis
}

teardown() {
    stop_hub
}

# mirror: a server that stands in the place of all others.
mirror() {
    start_hub
    export BLIP2_DATA_ENDPOINT=$HUB/files
    STORE=$T/hub/files/storage.googleapis.com/sfr-vision-language-research
}

# offer URL FILE: what the mirror has at https://URL
offer() {
    mkdir -p "$(dirname "$T/hub/files/$1")"
    cp "$2" "$T/hub/files/$1"
}

gqa() {
    offer storage.googleapis.com/sfr-vision-language-research/LAVIS/datasets/gqa/testdev_balanced_questions.json \
        "$SETS/root/gqa/annotations/testdev_balanced_questions.json"
    offer downloads.cs.stanford.edu/nlp/data/gqa/images.zip "$SETS/archives/images.zip"
}

@test "list: all sets, one set, as JSON" {
    blip2 data list
    [ "$status" -eq 0 ]
    for name in coco_caption nocaps coco_vqa ok_vqa gqa/balanced_testdev gqa/balanced_val coco_retrieval flickr30k vg_caption scenes_caption; do
        grep -q "^  $name" <<<"$out" || { echo "$name"; false; }
    done
    [ "$(wc -L <"$T/out")" -le 80 ]
    blip2 data list vqav2 --split val
    [[ $out == *"coco/annotations/vqa_val_eval.json"*"val2014.zip (pictures), 6.65 GB: http://images.cocodataset.org/zips/val2014.zip"* ]]
    [[ $out != *train2014* ]]
    [[ $out == *licence* ]]
    blip2 data list flickr30k
    [[ $out == *"to be fetched by yourself"* ]]
    blip2 data list --json
    [ "$(jq -s 'length' <"$T/out")" -ge 13 ]
    blip2 data list coco_caption --json --split test
    [ "$(jq -r '.needs[0] | .file, .checksum' <"$T/out")" = "coco/annotations/coco_karpathy_test.json
3ff34b0ef2db02d01c37399f6a2a6cd1" ]
    [ "$(jq '.needs[2].bytes' <"$T/out")" = 6645013297 ]
}

@test "check: what is there, what is missing or broken, by name" {
    blip2 data check vqav2 --root "$SETS/root" --deep
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    [[ $out == *"8 of 8 annotations, 6 of 6 pictures" ]]
    cp -r "$SETS/root" "$D"
    rm "$D/gqa/images/2354786.jpg"
    head -c 200 "$SETS/root/gqa/images/n161313.jpg" >"$D/gqa/images/n161313.jpg"
    blip2 data check gqa --split val --root "$D"
    [ "$status" -eq 3 ]
    [[ $out == *"missing   $D/gqa/images/2354786.jpg"*"1 of 2 pictures" ]]
    blip2 data check gqa --split val --root "$D" --deep --json
    [ "$status" -eq 3 ]
    [ "$(jq -r 'select(.picture) | .state' <"$T/out")" = "broken
missing" ]
    jq -r 'select(.state == "broken") | .why' <"$T/out" | grep -q "n161313.jpg: picture: "
    echo '{"a": 1}' >"$D/gqa/annotations/testdev_balanced_questions.json"
    blip2 data check gqa --split val --root "$D"
    [ "$status" -eq 3 ]
    [[ $out == *"broken    $D/gqa/annotations/testdev_balanced_questions.json: line 1: bad JSON: expected a list, ["* ]]
}

@test "check: many missing pictures are counted, --json names all" {
    mkdir -p "$D/gqa/annotations" 
    jq -n '[range(40) | {image: "\(.).jpg", question: "?", question_id: ., answer: "x"}]' >"$D/gqa/annotations/testdev_balanced_questions.json"
    blip2 data check gqa --split val --root "$D"
    [ "$(grep -c missing <<<"$out")" -eq 10 ]
    [[ $out == *"... and 30 more pictures (--json names all)"* ]]
    blip2 data check gqa --split val --root "$D" --json
    [ "$(jq -r 'select(.picture) | .picture' <"$T/out" | wc -l)" -eq 40 ]
}

@test "the scenes that came with the program are whole" {
    for name in scenes scenes_vqa scenes_gqa scenes_retrieval; do
        blip2 data check $name --deep
        [ "$status" -eq 0 ]
        [[ $out == *" 256 of 256 pictures" ]]
    done
}

@test "usage: names, splits, roots, options" {
    blip2 data list coco_captoin
    failed 2 "*coco_captoin: data set: expected one that blip2 data list shows, got none: did you mean coco_caption?"
    blip2 data check gqa/default --root "$T"
    failed 2 "*gqa: type: expected balanced_testdev or balanced_val, got default"
    blip2 data check ok_vqa --split val --root "$T"
    failed 2 "*ok_vqa: split: expected train or test, got val"
    blip2 data check ok_vqa
    failed 2 "*ok_vqa: root: expected the folder of the data sets (--root DIR), got none"
    blip2 data check ok_vqa --root "$T/none"
    failed 1 "*none: expected a folder, got nothing"
    blip2 data prepare ok_vqa
    failed 2 "*--root*"
    blip2 data list --deep
    failed 2 "*data list: --deep is for check"
    blip2 data sweep
    failed 2 "*expected list, check or prepare, got 'sweep'"
}

@test "prepare: annotation and archive are fetched, unpacked, and nothing twice" {
    mirror
    gqa
    blip2 data prepare gqa --split val --root "$D" --yes
    [ "$status" -eq 0 ] || { echo "$err"; false; }
    [[ $err == *"download https://storage.googleapis.com/"*"testdev_balanced_questions.json, 282 bytes, to "* ]] || { echo "$err"; false; }
    [[ $err == *"download https://downloads.cs.stanford.edu/nlp/data/gqa/images.zip, "*" kB, to $D/gqa/download/images.zip"* ]] || { echo "$err"; false; }
    [[ $err == *"unpack $D/gqa/download/images.zip to $D/gqa/images (2 pictures are missing)"* ]]
    cmp "$D/gqa/images/2354786.jpg" "$SETS/root/gqa/images/2354786.jpg"
    blip2 data check gqa --split val --root "$D" --deep
    [ "$status" -eq 0 ]
    [ -z "$(find "$D" -name '*.incomplete' -o -name '*.tmp.*' -o -name '*.lock')" ]
    n=$(requests ' GET ')
    blip2 data prepare gqa --split val --root "$D"
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    [ "$(requests ' GET ')" -eq "$n" ]
}

@test "prepare: without --yes nothing is fetched where nobody can be asked" {
    mirror
    gqa
    blip2 data prepare gqa --split val --root "$D" </dev/null
    [ "$status" -eq 2 ]
    [[ $err == *"download https://storage"*"data prepare: downloads need --yes, or a terminal to ask at" ]]
    [ "$(requests ' GET ')" -eq 0 ]
    [ ! -e "$D" ]
}

@test "prepare: at a terminal it asks" {
    needs_terminal
    mirror
    gqa
    echo n | script -qec "$BLIP2 data prepare gqa --split val --root $D" /dev/null >"$T/said" || true
    grep -q "Download .*? \[y/N\]" "$T/said"
    grep -q "nothing was fetched" "$T/said"
    [ "$(requests ' GET ')" -eq 0 ]
    printf 'y\ny\n' | script -qec "$BLIP2 data prepare gqa --split val --root $D" /dev/null >"$T/said"
    [ -f "$D/gqa/images/2354786.jpg" ]
}

@test "prepare: a broken connection is continued, a wrong byte is found" {
    mirror
    gqa
    mkdir -p "$T/hub/faults/downloads.cs.stanford.edu/nlp/data/gqa"
    fault downloads.cs.stanford.edu/nlp/data/gqa/images.zip "cut 500"
    blip2 data prepare gqa --split val --root "$D" --yes
    [ "$status" -eq 0 ] || { echo "$err"; false; }
    grep -q "GET .*images.zip bytes=500-" "$T/hub/log"
    cmp "$D/gqa/download/images.zip" "$SETS/archives/images.zip"
}

@test "prepare: a file that is not the published one" {
    mirror
    offer storage.googleapis.com/sfr-vision-language-research/datasets/coco_karpathy_test.json \
        "$SETS/root/coco/annotations/coco_karpathy_test.json"
    offer storage.googleapis.com/sfr-vision-language-research/datasets/coco_karpathy_test_gt.json \
        "$SETS/root/coco_gt/coco_karpathy_test_gt.json"
    blip2 data prepare coco_caption --split test --root "$D" --yes
    [ "$status" -eq 1 ]
    [[ $err == *"coco/annotations/coco_karpathy_test.json: checksum: expected 3ff34b0ef2db02d01c37399f6a2a6cd1, got "*": damaged on the way, prepare again" ]] || { echo "$err"; false; }
    [ ! -e "$D/coco/annotations/coco_karpathy_test.json" ]
    # A picture archive of another size is refused before it comes.
    cp -r "$SETS/root/coco/annotations/." "$D/coco/annotations"
    offer images.cocodataset.org/zips/val2014.zip "$SETS/archives/val2014.zip"
    blip2 data prepare coco_retrieval --split test --root "$D" --yes
    [ "$status" -eq 1 ]
    [[ $err == *"val2014.zip: size: expected 6645013297 bytes, the server has "* ]] || { echo "$err"; false; }
    [ "$(requests ' GET .*val2014.zip')" -eq 0 ]
}

@test "prepare: gone, out of reach" {
    mirror
    blip2 data prepare vg_caption --root "$D" --yes
    [ "$status" -eq 4 ]
    [[ $err == *"vg/annotations/vg_caption.json: data set: not found at the server (status 404)" ]] || { echo "$err"; false; }
    export BLIP2_DATA_ENDPOINT=http://127.0.0.1:1
    blip2 data prepare vg_caption --root "$D" --yes
    [ "$status" -eq 4 ]
    [[ $err == *"data set: cannot be fetched: "* ]]
}

@test "prepare: archives that the user has, by name or in the folder for downloads" {
    mkdir -p "$D/flickr30k/annotations"
    cp "$SETS/root/flickr30k/annotations/test.json" "$D/flickr30k/annotations"
    blip2 data prepare flickr30k --split test --root "$D"
    [ "$status" -eq 3 ]
    [[ $err == *"flickr30k-images.tar.gz: fetch it yourself, from https://"*", or put it to $D/flickr30k/download/flickr30k-images.tar.gz" ]]
    blip2 data prepare flickr30k --split test --root "$D" "$SETS/archives/other.zip"
    failed 2 "*other.zip: archive: expected one of flickr30k-images.tar.gz, archive.zip, by its name, got another"
    cp "$SETS/archives/other.zip" "$T/archive.zip"
    blip2 data prepare flickr30k --split test --root "$D" "$T/archive.zip"
    [ "$status" -eq 1 ]
    [[ $err == *"archive.zip: archive: expected pictures below flickr30k_images/flickr30k_images/, got none among 1 entries" ]]
    mkdir "$D/flickr30k/download"
    cp "$SETS/archives/archive.zip" "$D/flickr30k/download"
    blip2 data prepare flickr30k --split test --root "$D"
    [ "$status" -eq 0 ] || { echo "$err"; false; }
    blip2 data check flickr30k --split test --root "$D" --deep
    [ "$status" -eq 0 ]
}

@test "prepare: pictures one by one" {
    mirror
    offer storage.googleapis.com/sfr-vision-language-research/datasets/nocaps_val.json "$SETS/root/nocaps/annotations/nocaps_val.json"
    offer s3.amazonaws.com/nocaps/val/0013ea2087020901.jpg "$SETS/root/nocaps/images/val/0013ea2087020901.jpg"
    blip2 data prepare nocaps --split val --root "$D" --yes
    [ "$status" -eq 4 ]
    [[ $err == *"download 2 pictures, size not known before: https://s3.amazonaws.com/nocaps/val/"* ]]
    [[ $err == *"val/0014c5e0a3f1b2d4.jpg: data set: not found"* ]]
    offer s3.amazonaws.com/nocaps/val/0014c5e0a3f1b2d4.jpg "$SETS/root/nocaps/images/val/0014c5e0a3f1b2d4.jpg"
    blip2 data prepare nocaps --split val --root "$D" --yes
    [ "$status" -eq 0 ] || { echo "$err"; false; }
    blip2 data check nocaps --split val --root "$D" --deep
    [ "$status" -eq 0 ]
}

@test "prepare: a root that cannot be written, another one at work" {
    mirror
    gqa
    echo x >"$T/file"
    blip2 data prepare gqa --split val --root "$T/file/lavis" --yes
    [ "$status" -eq 1 ]
    [[ $err == *"$T/file: expected a directory, got something else" ]] || { echo "$err"; false; }
    mkdir "$D"
    exec 8<"$D"
    flock 8
    blip2 data prepare gqa --split val --root "$D" --yes
    [ "$status" -eq 1 ]
    [[ $err == *"$D: expected nobody else to prepare data there, got another process" ]]
    exec 8<&-
}

@test "memory that runs out" {
    for n in $(seq 1 40); do
        blip2 data check gqa --split val --root "$SETS/root" --fail-alloc "$n"
        [ "$status" -eq 0 ] || [ "$status" -eq 6 ] || { echo "$n: $status $err"; false; }
    done
}

@test "what a configuration fetches is what the table has, path by path" {
    local sets=0
    while read -r name type files; do
        kind=$([ "$type" = default ] || echo "type: $type")
        printf 'model: {arch: blip2_opt, model_type: pretrain_opt2.7b}\nrun: {task: captioning}\ndatasets: {%s: {%s}}\n' "$name" "$kind" |
            "$BLIP2" config - --json |
            jq -c '.datasets[].build_info.annotations[] | [([.storage] | flatten), ([.url] | flatten)] | transpose[] | select(.[0])' |
            sort -u >"$T/configured"
        [ -s "$T/configured" ]
        jq -c '.[]' <<<"$files" | sort -u >"$T/table"
        # The table has more: the ground truths of captions
        [ -z "$(comm -23 "$T/configured" "$T/table")" ] || { echo "$name $type"; diff "$T/configured" "$T/table"; false; }
        sets=$((sets + 1))
    done < <("$BLIP2" data list --json | jq -r 'select(.name | startswith("scenes") | not) |
        "\(.name) \(.type) \([.needs[] | select(.file) | [.file, .url]] | tojson)"')
    [ "$sets" -ge 9 ]
}
