#!/bin/sh
# seeds.sh DIR: what the fuzzers begin with, in DIR/NAME for fuzz_NAME.c: good files of every kind, small, and bad ones
# that were worth a test. Run from the root of the repository; needs jq.
set -eu
to=$1
rm -rf "$to"
for source in fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    mkdir -p "$to/${name#fuzz_}"
done

# What fuzz_tokenizer begins with: its modes, one byte in front of a file or of files beside one.
tokenizer() {
    small=tests/data/tokenizer_beside
    beside=tests/data/tokenizers/bert
    { printf '\000' && cat $small/t5.json; } >"$to/tokenizer/t5.json"
    { printf '\000' && cat $small/bert.json; } >"$to/tokenizer/bert.json"
    { printf '\000' && cat models/scenes/tokenizer.json; } >"$to/tokenizer/bpe.json"
    { printf '\001' && cat $small/t5.model; } >"$to/tokenizer/spiece.model"
    { printf '\001' && cat $small/t5_symbols.model; } >"$to/tokenizer/symbols.model"
    { printf '\002' && cat $small/bert.txt; } >"$to/tokenizer/vocab.txt"
    for mode in 3 4 5 6; do
        { printf '%b' "\\00$mode" && head -c 300 tests/data/captions/cases.json; } >"$to/tokenizer/text$mode"
    done
    for base in 0 1 2 3 4; do
        {
            printf '%b' "\\007\\00$base"
            cat $beside/tokenizer_config.json && printf '\000'
            cat $beside/special_tokens_map.json && printf '\000'
            cat $beside/added_tokens.json && printf '\000{"model_type": "bert"}'
        } >"$to/tokenizer/beside$base"
        {
            printf '%b' "\\007\\00$base"
            printf '{"tokenizer_class": "T5Tokenizer", "extra_ids": 3, "eos_token": "</s>"}'
            printf '\000{"additional_special_tokens": ["<image>"]}\000{"<image>": 44}'
        } >"$to/tokenizer/named$base"
    done
}

# annotation FORM NAME FILE...: a byte that says the form (fuzz_data.c), 0xff between files.
annotation() {
    out=$to/data/$2
    # shellcheck disable=SC2059 # an octal escape
    printf "$1" >"$out"
    shift 2
    between=
    for file; do
        printf '%b' "$between" >>"$out"
        cat "tests/data/datasets/root/$file" >>"$out"
        between='\0377'
    done
}

annotations() {
    annotation '\000' captions coco/annotations/coco_karpathy_test.json
    annotation '\004' nocaps nocaps/annotations/nocaps_val.json
    annotation '\010' retrieval flickr30k/annotations/test.json
    annotation '\041' pairs coco/annotations/coco_karpathy_train.json
    annotation '\042' questions coco/annotations/vqa_train.json coco/annotations/vqa_val.json
    annotation '\022' asked coco/annotations/vqa_val_eval.json
    annotation '\002' gqa gqa/annotations/testdev_balanced_questions.json
}

# score: a task, a result, 0xff, a ground truth; texts for the tokenizer.
scores() {
    printf '\000[{"image_id": 1, "caption": "a dog"}]\377{"images": [{"id": 1, "domain": "in"}],
        "annotations": [{"image_id": "1", "caption": "A dog."}]}' >"$to/score/caption"
    printf '\001[{"question_id": 1, "answer": "two"}]\377{"annotations": [{"question_id": 1, "answer_type": "number",
        "question_type": "how", "answers": [{"answer": "2", "answer_id": 1}, {"answer": "two", "answer_id": 2}]}]}' >"$to/score/vqa"
    printf '\102[{"question_id": "q", "pred_ans": "a cat", "gt_ans": "cats"}]' >"$to/score/gqa"
    printf '\003{"score_i2t": [[1, 2.5]], "score_t2i": [{"index": [0], "score": [1e2]}, [-100]]}\377[{"image": "a.jpg",
        "caption": ["x", "y"]}]' >"$to/score/retrieval"
    head -n 200 tests/data/eval/ptb_lines.txt | split -l 10 - "$to/score/lines"
    for file in "$to"/score/lines*; do
        { printf '\004' && tr '\n' '|' <"$file"; } >"$file.text"
        rm "$file"
    done
}

# safetensors BYTES <HEADER: 8 bytes of length, the header, so many zeros as data.
safetensors() {
    header=$(cat)
    printf '%b' "$(printf '\\0%o\\0%o\\0\\0\\0\\0\\0\\0' $((${#header} % 256)) $((${#header} / 256)))"
    printf '%s' "$header"
    head -c "$1" /dev/zero
}

tensors() {
    echo '{"a": {"dtype": "BF16", "shape": [3, 5], "data_offsets": [0, 30]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [30, 38]}, "__metadata__": {"format": "pt"}}' |
        jq -c . | safetensors 38 >"$to/safetensors/two"
    echo '{}' | safetensors 0 >"$to/safetensors/none"
    echo '{"q": {"dtype": "I8", "shape": [2, 2], "data_offsets": [0, 4]}, "s": {"dtype": "F16", "shape": [2, 1], "data_offsets": [4, 8]}}' |
        jq -c . | safetensors 8 >"$to/safetensors/narrow"
}

# packed FORMAT FILTER: a packed model of a small configuration and tokenizer.
packed() {
    jq -cn --rawfile config tests/golden/itm/config.json --rawfile words tests/data/tokenizer_beside/bert.txt \
        --rawfile t5 tests/golden/t5/config.json --rawfile unigram tests/data/tokenizer_beside/t5.json "$1"
}

packed_models() {
    panels='"blip2.layout.w": "panel32 [33,4]"}, "w": {"dtype": "F32", "shape": [2, 4, 32], "data_offsets": [0, 1024]}'
    packed '{"__metadata__": {"blip2.format": "1", "blip2.file.config.json": $config, "blip2.file.vocab.txt": $words, '"$panels}" |
        safetensors 1024 >"$to/packed/bert"
    packed '{"__metadata__": {"blip2.format": "1", "blip2.file.config.json": $t5, "blip2.file.tokenizer.json": $unigram, '"$panels}" |
        safetensors 1024 >"$to/packed/t5"
    packed '{"__metadata__": {"blip2.format": "1", "blip2.file.config.json": "{}", "blip2.base64.spiece.model": "CgA=",
        "blip2.layout.w": "panel32 [3,2,2]"}, "w": {"dtype": "BF16", "shape": [1, 2, 32, 2], "data_offsets": [0, 256]}}' |
        safetensors 256 >"$to/packed/base64"
    packed '{"__metadata__": {"blip2.format": "2"}}' | safetensors 0 >"$to/packed/later"
    # no configuration: one is derived from names and shapes; a byte for each number is enough
    header=$(od -An -tu4 -N4 tests/golden/itm/model.safetensors | tr -d ' ')
    head -c $((header + 8)) tests/golden/itm/model.safetensors | tail -c +9 |
        jq -c 'del(.__metadata__) as $all | reduce ($all | keys_unsorted[]) as $k ({at: 0};
            ($all[$k].shape | reduce .[] as $d (1; . * $d)) as $n |
            .t[$k] = {dtype: "I8", shape: $all[$k].shape, data_offsets: [.at, .at + $n]} | .at += $n) | .t' |
        safetensors 161450 >"$to/packed/derived"
}

# One weight [33,40] in every form (fuzz_weights.c): 1320 numbers, 21 blocks of 64.
weights() {
    name='"w.weight": {"dtype":'
    echo "{$name \"BF16\", \"shape\": [33, 40], \"data_offsets\": [0, 2640]}}" | safetensors 2640 >"$to/weights/rows"
    echo "{$name \"I8\", \"shape\": [33, 40], \"data_offsets\": [0, 1320]},
        \"w.weight.scale\": {\"dtype\": \"F32\", \"shape\": [33], \"data_offsets\": [1320, 1452]}}" |
        jq -c . | safetensors 1452 >"$to/weights/int8"
    echo "{$name \"I8\", \"shape\": [33, 40], \"data_offsets\": [0, 1320]},
        \"w.SCB\": {\"dtype\": \"F32\", \"shape\": [33], \"data_offsets\": [1320, 1452]},
        \"w.weight_format\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [1452, 1453]}}" |
        jq -c . | safetensors 1453 >"$to/weights/bnb8"
    packed '{"__metadata__": {"blip2.format": "1", "blip2.file.config.json": "{}", "blip2.layout.w.weight": "int4 panel32 [33,40]"},
        "w.weight": {"dtype": "U8", "shape": [2, 2, 576], "data_offsets": [0, 2304]}}' | safetensors 2304 >"$to/weights/int4"
    echo "{$name \"I4\", \"shape\": [33, 40], \"data_offsets\": [0, 660]}}" | safetensors 660 >"$to/weights/i4"
    four nf4 '"nested_blocksize": 16, "nested_offset": 0.5, ' U8 21 >"$to/weights/nf4"
    four fp4 '' F32 84 >"$to/weights/fp4"
}

# four KIND NESTED ABSMAX BYTES
four() {
    state="{\"blocksize\": 64, \"dtype\": \"float16\", $2\"shape\": [33, 40]}"
    a=$((660 + $4)) && b=$((a + 64)) && c=$((b + 8)) && d=$((c + 1024)) && e=$((d + ${#state}))
    jq -cn "{\"w.weight\": {dtype: \"U8\", shape: [660, 1], data_offsets: [0, 660]},
        \"w.weight.absmax\": {dtype: \"$3\", shape: [21], data_offsets: [660, $a]},
        \"w.weight.quant_map\": {dtype: \"F32\", shape: [16], data_offsets: [$a, $b]},
        \"w.weight.\\(\$x)_absmax\": {dtype: \"F32\", shape: [2], data_offsets: [$b, $c]},
        \"w.weight.\\(\$x)_quant_map\": {dtype: \"F32\", shape: [256], data_offsets: [$c, $d]},
        \"w.weight.quant_state.bitsandbytes__$1\": {dtype: \"U8\", shape: [${#state}], data_offsets: [$d, $e]}}" \
        --arg x "$([ "$3" = U8 ] && echo nested || echo other)" | safetensors "$((d))"
    printf '%s' "$state"
}

hub() {
    cat >"$to/hub/repo" <<'JSON'
{"id": "owner/name", "sha": "0123456789abcdef0123456789abcdef01234567", "cardData": {"license": "mit"}, "siblings": [
{"rfilename": "config.json", "size": 12, "blobId": "89abcdef0123456789abcdef0123456789abcdef"},
{"rfilename": "model-00001-of-00002.safetensors", "size": 5000000000, "blobId": "89abcdef0123456789abcdef0123456789abcdef",
 "lfs": {"sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "size": 5000000000}}]}
JSON
    printf '{"error": "Repository not found"}' >"$to/hub/error"
}

# A byte says which file follows; 0xff is between two (fuzz_config.c).
configs() {
    for model in opt t5 itm caption; do
        {
            printf '\000' && cat tests/golden/$model/config.json
            printf '\377\001' && cat tests/golden/opt/generation_config.json
            printf '\377\002' && cat tests/golden/$model/preprocessor_config.json
            printf '\377\003' && cat tests/golden/$model/processor_config.json
        } >"$to/config/$model"
    done
}

# A file, and behind each 0xff an option (fuzz_settings.c).
settings() {
    for file in configs/eval/*.yaml; do
        case $file in *nocaps*) continue ;; esac
        { cat "$file" && printf '\377run.num_beams=3\377run.output_dir=${run.task}/x'; } >"$to/settings/$(basename "$file")"
    done
    jq -r '.[] | select(.texts | length == 1) | select(.texts[0] | length > 12) | @base64 "\(.texts[0])"' tests/data/settings/cases.json |
        awk -v to="$to/settings/case" '{ print | "base64 -d >" to NR; close("base64 -d >" to NR) }'
}

annotations
tokenizer
tensors
packed_models
weights
hub
configs
scores
settings
cp tests/data/lavis/names.txt "$to/names"
cp tests/data/torch/*.pth tests/data/lavis/*.pth "$to/torch"
for kind in valid malformed tiff oriented; do
    mkdir "$to/picture/$kind"
    cp -r tests/data/images/$kind/. "$to/picture/$kind"
done
