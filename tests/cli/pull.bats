#!/usr/bin/env bats
# Getting models: blip2 pull against a hub on this machine (tests/tools/hub_server.c), blip2 list.
bats_require_minimum_version 1.5.0
load common
load hub

NAME=Salesforce/blip2-opt-2.7b
CAPTION="a cat to the left of a cow on a purple background"

setup() {
    load common
    eval "$(declare -f setup | sed '1s/setup/common_setup/')"
    common_setup
    start_hub
}

teardown() {
    stop_hub
}

# pulled [REPO]: the cache holds all of it and nothing half, in the layout of huggingface_hub.
pulled() {
    local repo=${1:-$NAME} at commit f target
    at=$(folder "$repo")
    commit=$(cat "$T/hub/repos/$repo/commit")
    [ "$(cat "$at/refs/main")" = "$commit" ] || return 1
    for f in config.json tokenizer.json model.safetensors README.md; do
        target=$(readlink "$at/snapshots/$commit/$f")
        [ "$target" = "../../blobs/$(cat "$T/hub/repos/$repo/tags/$f")" ] || { echo "$f: $target"; return 1; }
        cmp "$at/snapshots/$commit/$f" "$T/hub/repos/$repo/files/$f" || return 1
    done
    [ -z "$(find "$at" -name '*.incomplete' -o -name '*.tmp.*')" ]
}

# Nothing that looks like a model.
not_pulled() {
    local at
    at=$(folder "${1:-$NAME}")
    [ ! -e "$at/refs/main" ] || return 1
    [ -z "$(ls "$at/snapshots" 2>/dev/null)" ]
}

@test "a model of the list: pulled, found by every name, listed" {
    repo $NAME
    blip2 pull opt-2.7b
    [ "$status" -eq 0 ]
    [ "$out" = "$(folder $NAME)/snapshots/$(cat "$T/hub/repos/$NAME/commit")" ]
    [ "$err" = "blip2: $NAME: licence: mit" ]
    pulled
    for name in opt-2.7b blip2-opt-2.7b $NAME blip2_opt/pretrain_opt2.7b; do
        blip2 caption -m "$name" scene003.png
        [ "$out" = "$CAPTION" ]
    done
    blip2 list --json
    [ "$(jq -r 'select(.path) | .name' <"$T/out" | tr '\n' ' ')" = "scenes opt-2.7b " ]
    blip2 list
    grep -q "15.0 GB, here" "$T/out"
    grep -qF "$(folder $NAME)/snapshots/" "$T/out"
}

@test "only what is needed is asked for, and nothing twice" {
    repo $NAME
    blip2 pull $NAME
    [ "$(requests 'msgpack|pytorch_model|gitattributes')" -eq 0 ]
    [ "$(requests ' GET .*model.safetensors')" -eq 2 ] # the hub, and where it leads to
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    [ "$(requests ' GET .*model.safetensors')" -eq 2 ]
    [ "$(requests ' GET .*config.json')" -eq "$(find "$T/hub/repos/$NAME/files" -name '*config.json' | wc -l)" ]
}

@test "LAVIS' spelling, the page's address, any repository, several at once, --json" {
    repo $NAME
    repo someone/else
    blip2 pull blip2_opt/pretrain_opt2.7b
    [ "$status" -eq 0 ]
    blip2 pull https://huggingface.co/$NAME/tree/main --json
    [ "$(jq -r .path <"$T/out")" = "$(echo "$(folder $NAME)"/snapshots/*)" ]
    [ "$(jq -r .licence <"$T/out")" = mit ]
    blip2 pull someone/else nobody/here
    [ "$status" -eq 3 ]
    pulled someone/else
    blip2 caption -m someone/else scene003.png
    [ "$out" = "$CAPTION" ]
    blip2 pull scenes
    [ "$out" = "$ROOT/models/scenes" ]
    blip2 pull opt2.7b
    failed 4 "*expected a name that blip2 list shows, or OWNER/NAME *: did you mean opt-2.7b?"
}

@test "shards by their index; PyTorch's .bin where there is no safetensors" {
    repo some/shards
    at=$T/hub/repos/some/shards/files
    mv "$at/model.safetensors" "$at/model-00001-of-00001.safetensors"
    echo unused >"$at/model-00001-of-00002.safetensors"
    python_free_index "$at/model-00001-of-00001.safetensors" >"$at/model.safetensors.index.json"
    tags some/shards
    blip2 pull some/shards
    [ "$status" -eq 0 ]
    [ "$(requests 'of-00002|pytorch')" -eq 0 ]
    blip2 caption -m some/shards scene003.png
    [ "$out" = "$CAPTION" ]
    repo some/torch
    at=$T/hub/repos/some/torch/files
    rm "$at/model.safetensors"
    tags some/torch
    blip2 pull some/torch
    [ "$status" -eq 0 ]
    cmp "$(echo "$(folder some/torch)"/snapshots/*)/pytorch_model.bin" "$at/pytorch_model.bin"
}

# An index over the one shard: the names of tensors stand in the header of the file.
python_free_index() {
    local size
    size=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    tail -c +9 "$1" | head -c "$size" |
        jq -c --arg f "${1##*/}" 'del(.__metadata__) | {metadata: {}, weight_map: map_values($f)}'
}

@test "a repository that is no model; an index that leads elsewhere" {
    repo some/other
    rm "$T/hub/repos/some/other/files/"{model.safetensors,pytorch_model.bin}
    blip2 pull some/other
    failed 5 "blip2: some/other: weights: expected a model of transformers*"
    echo '{"weight_map": {"a": "../../../x"}}' >"$T/hub/repos/some/other/files/model.safetensors.index.json"
    tags some/other
    blip2 pull some/other
    failed 5 "blip2: some/other: index: expected plain names*"
    not_pulled some/other
}

@test "a broken connection is continued, by bytes, where it broke" {
    repo $NAME
    size=$(stat -c %s "$T/hub/repos/$NAME/files/model.safetensors")
    fault model.safetensors "cut 100000" "cut 200000" 503
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    pulled
    [ "$(requests "^other GET .*model.safetensors.* bytes=100000- -")" -eq 1 ]
    [ "$(requests "^other GET .*model.safetensors.* bytes=300000- -")" -eq 2 ]
    [ "$size" -gt 300000 ]
}

@test "a server that cannot continue: from the beginning" {
    repo $NAME
    fault model.safetensors "cut 100000" norange
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    pulled
}

@test "no Content-Length; a body that ends too early without saying so; many small pieces" {
    repo $NAME
    fault model.safetensors "chop 100000" nolength
    fault tokenizer.json "slow 5000"
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    pulled
}

@test "a stalled connection is left after the time given, and continued" {
    repo $NAME
    fault model.safetensors "stall 100000"
    HF_HUB_DOWNLOAD_TIMEOUT=1 blip2 pull $NAME
    [ "$status" -eq 0 ]
    pulled
    [ "$(requests "^other GET .*model.safetensors.* bytes=100000- -")" -eq 1 ]
}

@test "a wrong byte is found: nothing stays, the next pull is good" {
    repo $NAME
    for file in model.safetensors config.json; do
        rm -rf "$T/hf"
        fault $file wrong
        blip2 pull $NAME
        failed 1 "blip2: $NAME/$file: checksum: expected $(cat "$T/hub/repos/$NAME/tags/$file"), got *"
        not_pulled
        [ ! -e "$(folder $NAME)/blobs/$(cat "$T/hub/repos/$NAME/tags/$file")" ]
        [ ! -e "$(folder $NAME)/blobs/$(cat "$T/hub/repos/$NAME/tags/$file").incomplete" ]
    done
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    pulled
}

@test "an old part that is something else begins again" {
    repo $NAME
    mkdir -p "$(folder $NAME)/blobs"
    head -c 50000 /dev/urandom >"$(folder $NAME)/blobs/$(cat "$T/hub/repos/$NAME/tags/model.safetensors").incomplete"
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    pulled
    [ "$(requests "^other GET .*model.safetensors.* bytes=50000- -")" -eq 1 ]
    [ "$(requests "^other GET .*model.safetensors.* - -")" -eq 1 ]
}

@test "a part of another content is not continued" {
    repo $NAME
    fault model.safetensors "cut 100000" "always 503"
    blip2 pull $NAME
    failed 1 "blip2: $NAME/model.safetensors: *503*"
    rm "$T/hub/faults/model.safetensors" "$T/hub/log"
    printf x >>"$T/hub/repos/$NAME/files/model.safetensors"
    tags $NAME
    blip2 pull $NAME
    [ "$(requests "bytes=")" -eq 0 ]
    [ "$status" -eq 0 ]
}

@test "interrupted: what was there before stays found; the next pull goes on" {
    repo $NAME
    blip2 pull $NAME
    old=$out
    printf ' ' >>"$T/hub/repos/$NAME/files/config.json"
    printf 'x' >>"$T/hub/repos/$NAME/files/model.safetensors"
    tags $NAME
    fault model.safetensors "stall 100000"
    "$BLIP2" pull $NAME >"$T/out" 2>"$T/err" 9>&- &
    pid=$!
    for _ in $(seq 100); do
        grep -q 'other GET .*model.safetensors' <(tail -n 1 "$T/hub/log") && break
        sleep 0.05
    done
    sleep 0.3
    kill -KILL $pid
    wait $pid || true
    blip2 caption -m opt-2.7b scene003.png
    [ "$out" = "$CAPTION" ]
    [ "$(cat "$(folder $NAME)/refs/main")" = "${old##*/}" ]
    rm "$T/hub/log"
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    [ "$(requests "^other GET .*model.safetensors.* bytes=100000- -")" -eq 1 ]
    [ "$(cat "$(folder $NAME)/refs/main")" = "$(cat "$T/hub/repos/$NAME/commit")" ]
    [ "$(cat "$(folder $NAME)/refs/main")" != "${old##*/}" ]
    [ "$(requests ' GET .*tokenizer.json')" -eq 0 ] # has not changed
}

@test "two pulls at once: each is right, each file comes once" {
    repo $NAME
    fault model.safetensors "slow 400000"
    "$BLIP2" pull $NAME >"$T/out1" 2>"$T/err1" 9>&- &
    pid=$!
    blip2 pull $NAME
    wait $pid
    [ "$status" -eq 0 ]
    [ "$out" = "$(cat "$T/out1")" ]
    pulled
    [ "$(requests '^other GET .*model.safetensors')" -eq 1 ]
}

@test "the token goes to the hub and to nobody else" {
    repo $NAME
    echo hf_secret >"$T/hub/token"
    blip2 pull $NAME
    failed 4 "blip2: $NAME: model: $HUB knows no such model, or wants a token for it (HF_TOKEN) (status 401)"
    HF_TOKEN=wrong blip2 pull $NAME
    failed 4 "*or does not accept the token (HF_TOKEN) (status 401)"
    rm "$T/hub/log"
    HF_TOKEN=hf_secret blip2 pull $NAME
    [ "$status" -eq 0 ]
    pulled
    [ "$(requests '^hub .* hf_secret$')" -gt 5 ]
    [ "$(requests '^other .* -$')" -eq 1 ]
    [ "$(requests '^other .*hf_secret')" -eq 0 ]
    rm -r "$T/hf"
    mkdir -p "$T/hf"
    echo hf_secret >"$T/hf/token"
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    HF_HUB_DISABLE_IMPLICIT_TOKEN=1 blip2 pull $NAME
    [ "$status" -eq 4 ]
}

@test "refused, gone, down, nonsense: the exit code says whose fault it is" {
    repo $NAME
    blip2 pull no/such
    failed 4 "blip2: no/such: model: not found at $HUB (status 404)"
    fault api 403
    blip2 pull $NAME
    failed 4 "*to those who have accepted its terms (status 403)*"
    fault api "always 500"
    blip2 pull $NAME
    failed 1 "blip2: $NAME: model: cannot be fetched: *status 500"
    fault api 500 502
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    rm -r "$T/hf"
    fault api "raw"
    blip2 pull $NAME
    failed 1 "*expected JSON, got an HTML page*"
    fault HEAD-config.json "tag ../../../evil"
    blip2 pull $NAME
    failed 1 "blip2: $NAME/config.json: expected an ETag of letters and digits*"
    not_pulled
}

@test "files that have moved within the hub; a hub without HEAD" {
    repo $NAME
    fault HEAD-model.safetensors moved
    fault HEAD-config.json moved
    fault config.json moved
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    pulled
    [ "$(requests '[?]moved')" -eq 3 ]
    rm -r "$T/hf"
    fault HEAD-model.safetensors "always 405"
    fault HEAD-config.json "always 501"
    blip2 pull $NAME
    [ "$status" -eq 0 ]
    pulled
}

@test "memory that runs out" {
    repo $NAME
    for n in $(seq 1 7 200); do
        blip2 pull $NAME --fail-alloc "$n"
        [ "$status" -eq 0 ] || failed 6 "*out of memory*"
        blip2 caption "$HUB/files/none.png" --fail-alloc "$n"
        one_error
    done
    blip2 pull $NAME
    pulled
}

@test "offline: said at once, and what is here is enough" {
    repo $NAME
    HF_HUB_OFFLINE=1 blip2 pull $NAME
    failed 4 "blip2: $NAME: model: not on this machine, and HF_HUB_OFFLINE is set"
    TRANSFORMERS_OFFLINE=yes blip2 pull $NAME
    failed 4 "*HF_HUB_OFFLINE is set"
    [ ! -e "$T/hub/log" ]
    blip2 pull $NAME
    where=$out
    rm "$T/hub/log"
    HF_HUB_OFFLINE=1 blip2 pull $NAME
    [ "$out" = "$where" ]
    [ ! -e "$T/hub/log" ]
    HF_ENDPOINT=http://127.0.0.1:1 blip2 pull some/model
    failed 4 "blip2: some/model: model: cannot be fetched: *no connection*"
    HF_ENDPOINT=nonsense blip2 pull some/model
    failed 2 "blip2: HF_ENDPOINT: expected http://... or https://..., got nonsense"
}

@test "a disk that is too small, a cache that cannot be written" {
    repo $NAME
    fault HEAD-model.safetensors "size 900000000000000"
    blip2 pull $NAME
    failed 1 "blip2: *: disk: expected *GB free, got *GB"
    not_pulled
    [ "$(requests 'GET .*model.safetensors')" -eq 0 ]
    : >"$T/file"
    HF_HOME=$T/file blip2 pull $NAME
    failed 1 "blip2: $T/file: expected a directory, got something else"
}

@test "the cache is where the environment says" {
    repo $NAME
    HOME=$T BASE=place HF_HUB_CACHE='~/$BASE' blip2 pull $NAME
    [ "$status" -eq 0 ]
    [ -L "$(echo "$T"/place/models--Salesforce--blip2-opt-2.7b/snapshots/*/config.json)" ]
    HF_HUB_CACHE=$T/place blip2 caption -m opt-2.7b scene003.png
    [ "$out" = "$CAPTION" ]
}

@test "LAVIS' files lie where LAVIS looks, the tokenizer in the cache" {
    repo google-bert/bert-base-uncased
    rm "$T/hub/repos/google-bert/bert-base-uncased/files/model.safetensors"
    cp "$ROOT/tests/data/torch/"*.pth "$T/hub/files/" 2>/dev/null || true
    torch=$(find "$ROOT/tests/data/torch" -size +1k -type f -exec sh -c 'head -c 2 "$1" | grep -q PK' _ {} \; -print | head -n 1)
    cp "$torch" "$T/hub/files/blip2_pretrained_vitL.pth"
    cp "$torch" "$T/hub/files/clip_vit_L.pth"
    fault clip_vit_L.pth "cut 500"
    blip2 pull blip2/pretrain_vitL
    [ "$status" -eq 0 ] || { echo "$err"; false; }
    [ "$out" = "$T/torch/hub/checkpoints/blip2_pretrained_vitL.pth" ]
    cmp "$torch" "$T/torch/hub/checkpoints/clip_vit_L.pth"
    [ -e "$(echo "$(folder google-bert/bert-base-uncased)"/snapshots/*)/tokenizer.json" ]
    [ -z "$(find "$T/torch" -name '*.incomplete')" ]
    head -c 1000 "$torch" >"$T/hub/files/clip_vit_L.pth"
    blip2 pull itm-vit-l
    failed 1 "blip2: clip_vit_L.pth: expected a whole file of torch.save, got one without its end"
    cmp "$torch" "$T/torch/hub/checkpoints/clip_vit_L.pth"
    echo '<html>gone</html>' >"$T/hub/files/clip_vit_L.pth"
    blip2 pull blip2_pretrained_vitL.pth
    failed 1 "blip2: clip_vit_L.pth: expected a whole file of torch.save, got *"
    rm "$T/hub/files/clip_vit_L.pth"
    blip2 pull itm-vit-l
    failed 4 "blip2: clip_vit_L.pth: model: not found at *"
}

@test "without libcurl: which package has it" {
    repo $NAME
    mkdir "$T/lib"
    for name in libcurl.so.4 libcurl-gnutls.so.4 libcurl-nss.so.4; do
        echo none >"$T/lib/$name"
    done
    LD_LIBRARY_PATH=$T/lib blip2 pull $NAME
    failed 4 "blip2: $NAME: model: cannot be fetched: *downloading takes libcurl, which cannot be loaded (*); install it (libcurl4)"
    LD_LIBRARY_PATH=$T/lib blip2 caption scene003.png
    [ "$out" = "$CAPTION" ]
}

@test "progress is for terminals alone" {
    repo $NAME
    blip2 pull $NAME
    [ "$(wc -l <"$T/err")" -eq 1 ]
    needs_terminal
    rm -r "$T/hf"
    fault model.safetensors "slow 1000000"
    TERM=xterm script -qec "$BLIP2 pull $NAME" /dev/null >"$T/tty" </dev/null
    grep -q '#.* MB of .*model.safetensors' "$T/tty"
}
