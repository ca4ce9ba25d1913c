# hub.bash: tests/tools/hub_server and repositories for it; loaded by the tests that fetch something.

# Starts the server on $T/hub; $HUB is its address, and the environment names it as the hub.
start_hub() {
    SERVER=${BLIP2%/*}/hub_server
    [ -x "$SERVER" ] || skip "no hub_server beside $BLIP2"
    unset HF_HUB_CACHE HUGGINGFACE_HUB_CACHE HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_TOKEN_PATH HF_HUB_OFFLINE TRANSFORMERS_OFFLINE
    unset http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY HF_HUB_DISABLE_IMPLICIT_TOKEN TORCH_HOME BLIP2_MODELS
    mkdir -p "$T/hub/faults" "$T/hub/files" "$T/hub/repos"
    mkfifo "$T/running"
    "$SERVER" "$T/hub" <"$T/running" >"$T/ports" 2>/dev/null 3>&- &
    exec 9>"$T/running"
    for _ in $(seq 100); do
        [ -s "$T/ports" ] && break
        sleep 0.05
    done
    read -r port other <"$T/ports"
    HUB=http://127.0.0.1:$port
    export HF_HOME=$T/hf HF_ENDPOINT=$HUB TORCH_HOME=$T/torch BLIP2_LAVIS_ENDPOINT=$HUB/files
}

stop_hub() {
    exec 9>&-
}

# tag FILE: what the hub calls a file: SHA-256 of what it keeps apart, else git's id of the blob.
tag() {
    case $1 in
    *.safetensors | *.bin) sha256sum <"$1" | cut -d' ' -f1 ;;
    *) { printf 'blob %d\0' "$(stat -c %s "$1")"; cat "$1"; } | sha1sum | cut -d' ' -f1 ;;
    esac
}

# tags REPO: of all of its files, and a commit that they make up.
tags() {
    local at=$T/hub/repos/$1 f
    mkdir -p "$at/tags"
    for f in "$at"/files/*; do
        tag "$f" >"$at/tags/${f##*/}"
    done
    cat "$at"/tags/* | sha1sum | cut -d' ' -f1 >"$at/commit"
    echo mit >"$at/licence"
}

# repo NAME: a repository of the hub with the embedded model in it, and files that nobody needs.
repo() {
    local at=$T/hub/repos/$1
    mkdir -p "$at/files"
    cp "$ROOT"/models/scenes/*.json "$ROOT/models/scenes/model.safetensors" "$at/files"
    printf -- '---\nlicense: mit\n---\n' >"$at/files/README.md"
    echo noise | tee "$at/files/flax_model.msgpack" "$at/files/pytorch_model.bin" >"$at/files/.gitattributes"
    tags "$1"
}

# fault FILE LINE...: answers that go wrong, one after the other.
fault() {
    local file=$1
    shift
    printf '%s\n' "$@" >"$T/hub/faults/$file"
}

# folder REPO: of the repository in the cache.
folder() {
    echo "$T/hf/hub/models--${1/\//--}"
}

# requests PATTERN: how many lines of the log match.
requests() {
    grep -cE "$1" "$T/hub/log" || true
}
