#!/usr/bin/env bats
# config: YAML files of LAVIS with all their defaults.
load common

EVAL=configs/eval

write() {
    cat >"$T/a.yaml" <<YAML
model: {arch: blip2_opt, model_type: caption_coco_opt2.7b}
datasets:
  coco_caption:
    vis_processor:
      eval: {name: blip_image_eval, image_size: 364}
run:
  task: captioning
  max_len: 20
  output_dir: out/\${run.task}
YAML
}

@test "config: every value and where it comes from" {
    write
    blip2 config "$T/a.yaml" --options run.num_beams=3
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    grep -Eq "^  max_len: 20 +# $T/a.yaml:8$" <<<"$out"
    grep -Eq "^  num_beams: 3 +# --options$" <<<"$out"
    grep -Eq "^  repetition_penalty: 1.15 +# default$" <<<"$out"
    grep -Eq "^  prompt: \"a photo of\" +# default of blip2_opt/caption_coco_opt2.7b$" <<<"$out"
    grep -Eq "^  output_dir: out/captioning +# $T/a.yaml:9$" <<<"$out"
    grep -Eq "^ +storage: coco/annotations/coco_karpathy_test.json +# default of coco_caption/default$" <<<"$out"
}

@test "config: what it prints is such a file" {
    cd "$ROOT"
    for file in "$EVAL"/*.yaml; do
        blip2 config "$file"
        [ "$status" -eq 0 ] && [ -z "$err" ] || { echo "$file: $err"; return 1; }
        echo "$out" >"$T/again.yaml"
        "$BLIP2" config --json "$file" | jq -S . >"$T/one"
        "$BLIP2" config --json "$T/again.yaml" | jq -S . >"$T/two"
        diff "$T/one" "$T/two"
    done
    [ "$(ls "$EVAL" | wc -l)" -eq 11 ]
}

@test "config: a file as LAVIS names it, from standard input, options in both forms" {
    write
    blip2 config --cfg-path "$T/a.yaml" --json
    [ "$status" -eq 0 ]
    jq -e '.run.num_beams == 5 and .run.max_len == 20 and .env.cache_root == "cache"' <<<"$out"
    status=0
    "$BLIP2" config - --json <"$T/a.yaml" >"$T/out" || status=$?
    [ "$status" -eq 0 ]
    [ "$(cat "$T/out")" = "$out" ]
    blip2 config --options run.num_beams=1 'run.test_splits=[val, test]' --options run.length_penalty=-1 --json "$T/a.yaml"
    jq -e '.run.num_beams == 1 and .run.test_splits == ["val", "test"] and .run.length_penalty == -1' <<<"$out"
    blip2 config --options run.num_beams=1 run.min_len=2 "$T/a.yaml" --json
    jq -e '.run.num_beams == 1 and .run.min_len == 2' <<<"$out"
    blip2 config "$T/a.yaml" --json --options run.num_beams 1 run.length_penalty -1.5
    jq -e '.run.num_beams == 1 and .run.length_penalty == -1.5' <<<"$out"
    blip2 config "$T/a.yaml" --json --options 'run.prompt="Question: {} Answer:"'
    jq -e '.run.prompt == "Question: {} Answer:"' <<<"$out"
}

@test "config: unknown keys are told, and the rest is done" {
    write
    sed -i 's/max_len/max_length/; s/vis_processor/vis_processors/' "$T/a.yaml"
    blip2 config "$T/a.yaml" --json
    [ "$status" -eq 0 ]
    [ "$(cat "$T/err")" = "blip2: $T/a.yaml:4: datasets.coco_caption.vis_processors: unknown key, ignored; did you mean vis_processor?
blip2: $T/a.yaml:8: run.max_length: unknown key, ignored; did you mean max_len?" ]
    jq -e '.run.max_len == 30 and .run.max_length == 20' <<<"$out"
}

@test "config: one line for what is wrong" {
    write
    blip2 config "$T/none.yaml"
    failed 1 "*$T/none.yaml: No such file or directory"
    blip2 config "$T"
    failed 1 "*$T: *a file or a pipe, got a directory"
    : >"$T/empty.yaml"
    blip2 config "$T/empty.yaml"
    failed 1 "*$T/empty.yaml: file: expected model, datasets and run, got nothing"
    head -c 2000000 /dev/zero | tr '\0' '#' >"$T/large.yaml"
    blip2 config "$T/large.yaml"
    failed 1 "*expected at most 1048576 bytes*"
    printf 'model:\n  arch: x\n bad: 1\n' >"$T/bad.yaml"
    blip2 config "$T/bad.yaml"
    failed 1 "*$T/bad.yaml:3: bad YAML: *"
    blip2 config "$T/a.yaml" --options run.seed=x
    failed 2 "*--options: run.seed: expected a whole number, got 'x'"
    blip2 config "$T/a.yaml" --options run.seed
    failed 2 "*--options: expected a value behind 'run.seed', got nothing"
    blip2 config "$T/a.yaml" --options 'run.prompt=Question: {} Answer:'
    failed 2 "*--options: bad YAML: *; in the value of run.prompt, of which quotes make a text"
    blip2 config "$T/a.yaml" --options model.arch=blip
    failed 2 "*--options: model.arch: expected one of blip2, *, got 'blip'"
    blip2 config
    failed 2 "*too few arguments, expected blip2 config FILE"
    blip2 config "$T/a.yaml" --cfg-path "$T/a.yaml"
    failed 2 "*superfluous argument*"
    blip2 config "$T/a.yaml" --options
    failed 2 "*--options needs a value*"
}

@test "config: nothing that a terminal would obey" {
    printf 'model: {arch: "x\\e[31my", model_type: z}\ndatasets: {}\nrun: {}\n' >"$T/a.yaml"
    blip2 config "$T/a.yaml"
    failed 1 "*got 'x?[[]31my'"
}

@test "config: the table of keys is that of docs/CONFIG.md" {
    blip2 config --keys
    [ "$status" -eq 0 ]
    sed -n '/^| key /,$p' "$ROOT/docs/CONFIG.md" | diff - <(echo "$out")
}

@test "config: out of memory" {
    write
    for n in 1 2 3 5 8 13 21 34 55; do
        blip2 config "$T/a.yaml" --fail-alloc "$n"
        [ "$status" -eq 0 ] || failed 6 "*out of memory*"
    done
    blip2 config "$T/a.yaml" --fail-alloc 1
    failed 6 "*out of memory*"
}
