#!/usr/bin/env bats
# What is given as a model: what loads with a notice, what is recognised and named, where it is looked for.
load common

CAPTION="a cat to the left of a cow on a purple background"

# A copy of the embedded model at $T/m, links but for the files named.
model() {
    rm -rf "$T/m"
    mkdir -p "$T/m"
    ln -s "$ROOT"/models/scenes/*.json "$ROOT/models/scenes/model.safetensors" "$T/m"
    for f in "$@"; do
        rm "$T/m/$f"
        cp "$ROOT/models/scenes/$f" "$T/m"
        chmod u+w "$T/m/$f"
    done
}

caption_of_m() {
    blip2 caption -m "$T/m" "$@" scene003.png
}

# noticed PATTERN: the caption, and one line on standard error.
noticed() {
    [ "$status" -eq 0 ] || { echo "status $status: $err"; return 1; }
    [ "$out" = "$CAPTION" ] || { echo "got $out"; return 1; }
    one_error || return 1
    # shellcheck disable=SC2053 # a pattern
    [[ $err == $1 ]] || { echo "got: $err"; return 1; }
}

@test "a tensor that is not needed is a notice" {
    model
    rm "$T/m/model.safetensors"
    ln -s "$ROOT/models/scenes/model.safetensors" "$T/m/model-1.safetensors"
    head='{"step_counter":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}'
    { printf "\\x$(printf %x ${#head})\\0\\0\\0\\0\\0\\0\\0%s" "$head"; printf '\0\0\0\0\0\0\0\0'; } >"$T/m/model-2.safetensors"
    jq -n '{weight_map: {query_tokens: "model-1.safetensors", step_counter: "model-2.safetensors"}}' \
        >"$T/m/model.safetensors.index.json"
    caption_of_m
    noticed "*model-2.safetensors: tensor \"step_counter\": not used (1 in all)"
}

@test "tokens beyond the vocabulary are an error only when used" {
    model tokenizer.json
    jq -c '.added_tokens += [{id: 588, content: "<extra>", special: true, normalized: false}]' \
        "$ROOT/models/scenes/tokenizer.json" >"$T/m/tokenizer.json"
    caption_of_m
    noticed "*tokenizer: ids up to 588, beyond the vocabulary of 588 (1 in all)*"
    caption_of_m --prompt "a <extra>"
    [ "$status" -eq 1 ]
    grep -q "prompt: token 3: expected an id below the vocabulary's 588, got 588" "$T/err"
}

@test "settings of generation_config.json are refused where they count" {
    model generation_config.json
    echo '{"bos_token_id": 2, "eos_token_id": 202, "min_p": 0.05}' >"$T/m/generation_config.json"
    caption_of_m
    noticed "*generation_config.json: min_p: not followed (1 in all)"
    caption_of_m --generation hf
    [ "$status" -eq 0 ]
    caption_of_m --generation hf --sample
    [ "$status" -eq 5 ]
    grep -q "min_p: expected it unset" "$T/err"
    echo '{"bos_token_id": 2, "eos_token_id": 202, "pad_token_id": -1}' >"$T/m/generation_config.json"
    caption_of_m
    [ "$out" = "$CAPTION" ]
    [ -z "$err" ]
}

@test "settings that a search does not read do not refuse it" {
    model generation_config.json
    ids='"bos_token_id": 2, "eos_token_id": 202'
    for setting in '"top_p": 1.5' '"temperature": -1' '"length_penalty": 200' '"early_stopping": "x"' '"pad_token_id": "<pad>"' '"max_time": NaN'; do
        echo "{$ids, $setting}" >"$T/m/generation_config.json"
        caption_of_m --generation hf
        [ "$status" -eq 0 ] || { echo "$setting: $err"; return 1; }
    done
    echo "{$ids, \"top_p\": 1.5}" >"$T/m/generation_config.json"
    caption_of_m --generation hf --sample
    [ "$status" -eq 5 ]
    grep -q "top_p: expected a number in \[0, 1\], got 1.5" <<<"$err"
    echo "{$ids, \"num_beams\": 3, \"num_return_sequences\": 3}" >"$T/m/generation_config.json"
    caption_of_m --generation hf
    [ "$(wc -l <<<"$out")" -eq 3 ]
    echo "{$ids, \"stop_strings\": [\"cat\"]}" >"$T/m/generation_config.json"
    caption_of_m --generation hf
    [ "$status" -eq 5 ]
    grep -q "stop_strings: expected it unset" <<<"$err"
}

@test "weights under another name" {
    model
    mv "$T/m/model.safetensors" "$T/m/weights"
    while read -r name says; do
        ln -sf "$ROOT/models/scenes/model.safetensors" "$T/m/$name"
        caption_of_m
        failed 5 "*/$name: weights: expected the name model.safetensors, *$says*"
        rm "$T/m/$name"
    done <<'END'
model-00001-of-00002.safetensors index.json is missing
model.fp16.safetensors rename it
Model.safetensors rename it
model.safetensors.incomplete an unfinished download
END
}

@test "a link that leads nowhere is no absent file" {
    for f in config.json generation_config.json preprocessor_config.json tokenizer.json tokenizer_config.json model.safetensors; do
        model
        ln -sf nowhere "$T/m/$f"
        caption_of_m
        failed 5 "*/$f: *a link to one that is not there*"
    done
    model
    ln -s nowhere "$T/m/special_tokens_map.json"
    caption_of_m
    failed 5 "*/special_tokens_map.json: *a link to one that is not there*"
}

@test "another picture size than the tower's is said, one far beyond refused at once" {
    model preprocessor_config.json
    sed -i 's/\("height"\|"width"\): 96/\1: 384/' "$T/m/preprocessor_config.json"
    caption_of_m
    [ "$status" -eq 0 ]
    [[ $err == *"preprocessor_config.json: size: 384 pixels, where the vision tower was trained with 96"* ]]
    sed -i 's/384/4096/' "$T/m/preprocessor_config.json"
    caption_of_m
    failed 5 "*preprocessor_config.json: size: expected 16 to 384 pixels, at most 4 times the 96*, got 4096"
}

@test "pixels of any size, up to where the positions reach" {
    npy() {
        head="{'descr': '<f4', 'fortran_order': False, 'shape': (3, $1, $1)}"
        { printf '\223NUMPY\001\000'; printf "\\x$(printf %x ${#head})\\0%s" "$head"; head -c $((12 * $1 * $1)) /dev/zero; } >"$T/x.npy"
    }
    npy 384
    blip2 debug run scenes --pixels "$T/x.npy" --ids 2
    [ "$status" -eq 0 ]
    npy 400
    blip2 debug run scenes --pixels "$T/x.npy" --ids 2
    failed 1 "*pixels: expected at most 384 x 384, 4 times the size that the vision tower was trained with, got 400 x 400"
}

@test "show tells the notice, and null without one" {
    blip2 show --json
    jq -e '.notice == null' <<<"$out"
    model preprocessor_config.json
    sed -i 's/\("height"\|"width"\): 96/\1: 112/' "$T/m/preprocessor_config.json"
    blip2 show "$T/m" --json
    jq -e '.notice | contains("112 pixels")' <<<"$out"
}

@test "an adapter, .pth files, the folder above: named, with the next step" {
    mkdir -p "$T/adapter" "$T/lavis" "$T/above/model" "$T/partial"
    echo '{"peft_type": "LORA", "base_model_name_or_path": "Salesforce/blip2-opt-2.7b"}' >"$T/adapter/adapter_config.json"
    blip2 caption -m "$T/adapter" scene003.png
    failed 5 "*adapter_config.json: model: *a LORA adapter without its base model (Salesforce/blip2-opt-2.7b): merge*"
    : >"$T/lavis/checkpoint_best.pth"
    blip2 caption -m "$T/lavis" scene003.png
    failed 5 "*checkpoint_best.pth: file: expected safetensors or PyTorch weights, got an empty file*"
    echo '{}' >"$T/above/model/config.json"
    blip2 caption -m "$T/above" scene003.png
    failed 4 "*did you mean $T/above/model?"
    ln -s nowhere "$T/partial/config.json"
    blip2 caption -m "$T/partial" scene003.png
    failed 5 "*config.json: file: expected one, got a link to one that is not there: an unfinished download*"
}

@test "a file of the model that is something else is named" {
    pointer='version https://git-lfs.github.com/spec/v1'
    for f in config.json generation_config.json preprocessor_config.json processor_config.json tokenizer.json tokenizer_config.json; do
        model "$f"
        echo "$pointer" >"$T/m/$f"
        caption_of_m
        failed 5 "*/$f: file: expected JSON, got a Git LFS pointer (git lfs pull fetches the file)"
        printf 'Entry not found' >"$T/m/$f"
        caption_of_m
        failed 5 "*/$f: file: expected JSON, got a text, as a server answers (download it again)"
    done
    model model.safetensors
    echo "$pointer" >"$T/m/model.safetensors"
    caption_of_m
    failed 5 "*/model.safetensors: file: expected safetensors or PyTorch weights, got a Git LFS pointer*"
    echo '<!doctype html><html>' >"$T/m/model.safetensors"
    caption_of_m
    failed 5 "*/model.safetensors: file: expected safetensors or PyTorch weights, got an HTML page*"
    printf 'PK\003\004%032d' 0 >"$T/m/model.safetensors"
    caption_of_m
    failed 5 "*/model.safetensors: zip: expected an end record in the last bytes, got none: truncated?"
    : >"$T/m/model.safetensors"
    caption_of_m
    failed 5 "*/model.safetensors: file: *an empty file*"
}

@test "an adapter beside a whole model is said to be left out" {
    model
    echo '{"peft_type": "LORA"}' >"$T/m/adapter_config.json"
    blip2 caption -m "$T/m" scene001.png
    [ "$status" -eq 0 ]
    [[ $err == *"adapter_config.json: an adapter, which is not applied: "* ]]
}

@test "a quantised model is named as such" {
    model config.json
    jq '.quantization_config = {quant_method: "awq", bits: 4}' \
        "$ROOT/models/scenes/config.json" >"$T/m/config.json"
    caption_of_m
    failed 5 "*config.json: quantization_config: *quantised with awq*"
}

@test "a file or a URL in the place of a directory" {
    blip2 show "$ROOT/models/scenes/config.json"
    failed 4 "*model: expected a directory, got a file: pass the directory it is in, $ROOT/models/scenes"
    printf 'GGUF\003\000\000\000' >"$T/x.gguf"
    blip2 show "$T/x.gguf"
    failed 4 "*model: expected a directory, got a GGUF or GGML file of llama.cpp*"
    blip2 show https://huggingface.co/Salesforce/blip2-opt-2.7b/tree/main
    failed 4 "*got a URL: blip2 pull Salesforce/blip2-opt-2.7b fetches the repository*"
}

@test "weights by their own name, with the files beside them" {
    blip2 caption -m "$ROOT/models/scenes/model.safetensors" scene003.png
    [ "$status" -eq 0 ]
    [ "$out" = "$CAPTION" ]
    cp "$ROOT/models/scenes/model.safetensors" "$T/alone.safetensors"
    blip2 caption -m "$T/alone.safetensors" scene003.png
    failed 5 "*alone.safetensors: vision tower: expected a width of whole heads of 88, got 192: a config.json beside the file *"
}

# A cache with the embedded model as Salesforce/blip2-opt-2.7b under $T/hf/hub.
cache() {
    repo=$T/hf/hub/models--Salesforce--blip2-opt-2.7b
    mkdir -p "$repo/refs" "$repo/snapshots/abc"
    printf abc >"$repo/refs/main"
    ln -s "$ROOT"/models/scenes/*.json "$ROOT/models/scenes/model.safetensors" "$repo/snapshots/abc"
    unset HF_HUB_CACHE HUGGINGFACE_HUB_CACHE HF_HOME XDG_CACHE_HOME
}

from_cache() {
    blip2 caption -m "${1:-Salesforce/blip2-opt-2.7b}" scene003.png
    [ "$status" -eq 0 ] || { echo "$err"; return 1; }
    [ "$out" = "$CAPTION" ]
}

@test "the cache is where huggingface_hub would look" {
    cache
    HF_HOME=$T/hf from_cache
    HOME=$T HF_HOME='~/hf' from_cache
    BASE=$T HF_HOME='$BASE/hf' from_cache
    BASE=$T HF_HOME='${BASE}/hf' from_cache
    HOME=/nowhere HUGGINGFACE_HUB_CACHE=$T/hf/hub from_cache
    HF_HOME=/nowhere HUGGINGFACE_HUB_CACHE=$T/hf/hub from_cache
    HUGGINGFACE_HUB_CACHE=/nowhere HF_HUB_CACHE=$T/hf/hub from_cache
    HOME=$T HF_HUB_CACHE='~/hf/hub' from_cache
    mkdir "$T/.cache"
    ln -s "$T/hf" "$T/.cache/huggingface"
    HOME=$T from_cache
    XDG_CACHE_HOME=$T/.cache from_cache
    HF_HOME='$NOT_SET/hf' blip2 caption -m Salesforce/blip2-opt-2.7b scene003.png
    failed 4 "*not on this machine*"
}

@test "~user in the place of the cache" {
    home=$(getent passwd "$(id -un)" | cut -d: -f6)
    HF_HUB_CACHE="~$(id -un)/no/such/place" blip2 show owner/name
    failed 4 "*owner/name: model: *"
    [ -w "$home" ] || skip "no home to write to"
    place=$(mktemp -d "$home/.blip2-test-XXXXXX")
    mkdir -p "$place/models--owner--name/refs" "$place/models--owner--name/snapshots"
    echo -n abc >"$place/models--owner--name/refs/main"
    ln -s "$ROOT/models/scenes" "$place/models--owner--name/snapshots/abc"
    HF_HUB_CACHE="~$(id -un)/${place##*/}" blip2 caption -m owner/name scene003.png
    rm -r "$place"
    [ "$out" = "$CAPTION" ]
}

@test "an added token under another id than the vocabulary's is a notice" {
    model
    echo '{"<image>": 600, "<new>": 5}' >"$T/m/added_tokens.json"
    caption_of_m
    [ "$out" = "$CAPTION" ]
    [[ $err == *'added_tokens.json: "<image>": 600, where the vocabulary says 587'* ]]
}

@test "a folder of the cache stands for its snapshot" {
    cache
    from_cache "$T/hf/hub/models--Salesforce--blip2-opt-2.7b"
    from_cache "$T/hf/hub/models--Salesforce--blip2-opt-2.7b/"
    HF_HOME=$T/hf from_cache models--Salesforce--blip2-opt-2.7b
    rm "$T/hf/hub/models--Salesforce--blip2-opt-2.7b/refs/main"
    blip2 show "$T/hf/hub/models--Salesforce--blip2-opt-2.7b"
    failed 4 "*expected a downloaded snapshot that refs/main names, got none*"
}

@test "the names of config.json for --dtype" {
    for t in float32 fp32 bfloat16 float16 fp16 half; do
        blip2 caption --dtype $t scene003.png
        [ "$status" -eq 0 ]
        [ "$out" = "$CAPTION" ]
        "$BLIP2" help caption | tr -s ' \n' ' ' | grep -q "$t = "
        "$BLIP2" help man | grep -q "$t = "
        "$BLIP2" help completion bash | grep -- --dtype | grep -q " $t"
    done
    for t in torch.float32 torch.bfloat16 F32 BF16 Float16; do # as PyTorch and safetensors write them
        blip2 caption --dtype $t scene003.png
        [ "$status" -eq 0 ]
    done
    blip2 caption -g HF -b 2 --early-stopping True scene003.png
    [ "$status" -eq 0 ]
    blip2 caption --dtype torch.f64 scene003.png
    failed 2 "*--dtype: expected *, got 'torch.f64'*"
}

@test "slips on the command line are recognised" {
    blip2 ask "what is on the right?" scene003.png
    failed 2 "*expected IMAGE... QUESTION, got the picture scene003.png last: blip2 ask scene003.png \"what is on the right?\""
    blip2 ask scene003.png what is on the right
    failed 2 "*with the question in quotes*"
    blip2 ask scene003.png nix.png "what is on the right?"
    [ "$status" -eq 3 ]
    blip2 ask "what is this?" https://example.org/a.png
    failed 2 "*got the picture https://example.org/a.png last*"
    blip2 ask "what is this?" "$T"
    failed 2 "*got the picture $T last*"
    blip2 chat "$T"
    failed 1 "*got a directory: give the pictures in it, $T/\*"
    cp scene003.png "$T/-dash.png"
    cp scene003.png "$T/-m.png"
    cd "$T"
    blip2 caption -dash.png
    failed 2 "blip2: -dash.png: expected an option, got the name of a file; write ./-dash.png, or -- before the files"
    blip2 caption -m.png
    failed 2 "blip2: -m.png: expected an option, got the name of a file*"
    blip2 caption -- -m.png
    [ "$out" = "$CAPTION" ]
}

@test "every verb that loads a model takes the pieces that LAVIS keeps elsewhere" {
    mkdir "$T/tower"
    cp "$ROOT/tests/golden/vitl/blip2_pretrained_vitL.pth" "$T"
    cp "$ROOT/tests/golden/vitl/clip_vit_L.pth" "$T/tower/other.pth"
    blip2 show "$T/blip2_pretrained_vitL.pth"
    failed 4 "*vision tower: *clip_vit_L.pth*"
    for verb in show "bench --repeat 1 -m"; do
        blip2 $verb "$T/blip2_pretrained_vitL.pth" --vit "$T/tower/other.pth"
        [ "$status" = 0 ]
    done
    blip2 debug run "$T/blip2_pretrained_vitL.pth" --vit "$T/tower/other.pth" --pixels scene000.png \
        --ids 5,6 --dump "$T/dump"
    [ "$status" = 0 ]
    [ -s "$T/dump/itm_logits.npy" ]
    blip2 bench --synthetic opt-2.7b --vit "$T/tower/other.pth"
    failed 2 "*--synthetic and --vit exclude each other*"
}
