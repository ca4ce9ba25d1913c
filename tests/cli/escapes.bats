#!/usr/bin/env bats
# What a terminal would obey (control characters, C1 also as broken UTF-8, changes of direction) comes
# in by every way that text of others can take, and none of it reaches the terminal.
load common

# Evil texts: C0 and DEL, C1, changes of direction; every byte that is no UTF-8 alone; ill-formed
# sequences, among them ESC and CSI the long way. None holds NUL or "/", and each fits a file's name.
evil_texts() {
    local c0='' c1='' raw='' i
    for i in {1..31} 127; do c0+=$(printf '\\x%02x' "$i"); done
    for i in {128..159}; do c1+=$(printf '\\xc2\\x%02x' "$i"); done
    for i in {128..255}; do raw+=$(printf '\\x%02x' "$i"); done
    printf -v EVIL_1 'e%b[31m%b' "$c0" "$c1"
    printf -v EVIL_2 'e%b31m' "$raw"
    printf -v EVIL_3 'e%b' '\xc0\x9b[31m\xc2\xe2\x80\xae\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9\xe0\x82\x9b\xed\xa0\x80\xf4\x90\x80\x80\xe2\x80'
    EVILS=("$EVIL_1" "$EVIL_2" "$EVIL_3")
    export LC_ALL=C.UTF-8
}

# queue [NAME=VALUE...] -- ARGUMENTS: a call of the program for run_queue.
queue() {
    local environment=() number
    while [ "$1" != -- ]; do environment+=("$1"); shift; done
    shift
    number=$(grep -c . "$T/numbers" 2>/dev/null || true)
    echo "$number" >>"$T/numbers"
    {
        printf "echo '#%s#'; env " "${number:-0}"
        [ ${#environment[@]} -eq 0 ] || printf '%q ' "${environment[@]}"
        printf '"$BLIP2" '
        printf '%q ' "$@"
        printf '<"${INPUT:-/dev/null}"\n'
    } >>"$T/queue"
}

# Our own sequences: emphasis, and the status line that is taken off.
not_ours() {
    LC_ALL=C sed -e 's/\x1b\[[012]m//g; s/\r\x1b\[K//g; s/\r$//' "$1"
}

# obeyed FILE: fails when it holds nothing that a terminal would obey.
obeyed() {
    not_ours "$1" | LC_ALL=C grep -aqP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]' ||
        ! not_ours "$1" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1
}

# Runs what is queued on a terminal, and looks at all that the terminal got.
run_queue() {
    needs_terminal
    BLIP2=$BLIP2 TERM=xterm script -qec "bash '$T/queue'" /dev/null </dev/null >"$T/screen" || true
    LC_ALL=C sed -i 's/\^D\x08\x08//' "$T/screen"
    [ "$(grep -ac '^#[0-9]*#' "$T/screen")" -eq "$(wc -l <"$T/numbers")" ]
    if LC_ALL=C grep -aq 'command not found\|Segmentation\|AddressSanitizer' "$T/screen" || obeyed "$T/screen"; then
        not_ours "$T/screen" | LC_ALL=C grep -anP '[\x00-\x09\x0b-\x1f\x7f-\xff]|^#' | cat -v | tail -300
        return 1
    fi
    rm "$T/numbers" "$T/queue"
}

# A model of links, to change files in.
copy_model() {
    rm -rf "$1"
    mkdir "$1"
    ln -s "$ROOT"/models/scenes/* "$1"
}

# change FILE FILTER: of the model $T/model, by jq, $evil being EVIL_1 as JSON can hold it.
change() {
    copy_model "$T/model"
    rm "$T/model/$1"
    jq --arg evil "$(printf 'e\e[31m\xc2\x9b31m\x7f\xe2\x80\xae\n\r\a\xc2\x85x')" "$2" "$ROOT/models/scenes/$1" >"$T/model/$1"
}

@test "the test itself: our sequences pass, others are seen" {
    evil_texts
    printf '\e[1mtitle\e[0m\r\n\r\e[Kok \xe2\x80\xa6 \xc3\xa9\r\n' >"$T/good"
    if obeyed "$T/good"; then return 1; fi
    for text in '\e[31m' '\xc2\x9b' '\x9b' '\xe2\x80\xae' '\x7f' '\a' '\t' '\e[K' 'a\rb'; do
        printf "x${text}x\n" >"$T/bad"
        obeyed "$T/bad" || { echo "$text passes"; return 1; }
    done
}

@test "names of pictures" {
    evil_texts
    mkdir "$T/d"
    for evil in "${EVILS[@]}"; do
        cp scene001.png "$T/d/$evil.png"
        echo nothing >"$T/d/$evil.txt"
        queue -- caption -b 1 "$T/d/$evil.png"
        queue -- caption -b 1 --json "$T/d/$evil.png" "$T/d/$evil.txt" "$T/no$evil"
        queue -- caption -b 1 -t 1 "$T/d/$evil.png" "$T/d/$evil.txt" "$T/no$evil" "$T/d"
        queue -- ask "$T/d/$evil.png" "what is this? $evil"
        queue -- ask "$T/d/$evil.png" "what is this?" --prompt "$evil {}"
        queue -- ask "$T/d/$evil.png" --json "what is this?" --raw-prompt "$evil"
        queue -- caption -b 1 "$T/d/$evil.png" --prompt "$evil"
        queue -- chat -b 1 "$T/d/$evil.png"
        queue -- chat -b 1 "$T/d/$evil.txt"
        queue -- debug preprocess "$T/d/$evil.txt" -o "$T/x.npy"
        queue -- debug preprocess scene000.png -o "$T/$evil/x.npy" --u8 "$T/$evil/x.ppm"
        queue -- debug run scenes --ids 2 --pixels "$T/d/$evil.txt"
        queue -- debug run scenes --ids "$evil" --pixels "$T/d/$evil.png"
        queue -- debug run scenes --ids 2 --pixels scene000.png --dump "$T/d/$evil.png/x"
    done
    run_queue
}

@test "names of models and of their directories" {
    evil_texts
    for evil in "${EVILS[@]}"; do
        copy_model "$T/$evil"
        copy_model "$T/${evil}2"
        rm "$T/${evil}2/config.json"
        echo '{' >"$T/${evil}2/config.json"
        copy_model "$T/${evil}3"
        rm "$T/${evil}3/"*.safetensors
        queue -- show "$T/$evil"
        queue -- show --json "$T/$evil"
        queue -- bench --repeat 1 -m "$T/$evil"
        queue -- bench --repeat 1 --json -m "$T/$evil"
        queue -- bench --synthetic "$evil"
        for model in "$T/${evil}2" "$T/${evil}3" "$T/nix$evil" "owner/$evil" "$evil"; do
            queue -- show "$model"
            queue -- caption -m "$model" scene000.png
        done
        queue -- debug tokenize "$T/nix$evil"
        queue -- debug run "$T/nix$evil" --ids 2 --pixels scene000.png
    done
    run_queue
}

@test "words of the command line" {
    evil_texts
    for evil in "${EVILS[@]}"; do
        queue -- "$evil"
        queue -- debug "$evil"
        queue -- help "$evil"
        queue -- help completion "$evil"
        queue -- "--$evil" caption scene000.png
        queue -- "-$evil" caption scene000.png
        queue -- show a "$evil"
        queue -- show "a$evil" -m "b$evil"
        queue -- "caption$evil" scene000.png
        touch "$T/$evil"
        queue -- "$T/$evil"
        while read -r name; do
            queue -- caption scene000.png "--$name" "$evil"
            queue -- caption scene000.png "--$name=$evil"
        done < <("$BLIP2" help caption | sed -n 's/^ .*--\([a-z-]*\).*/\1/p' | sort -u)
    done
    for topic in caption ask chat list pull show doctor bench debug "debug run" man "completion bash" "completion zsh" "completion fish"; do
        # shellcheck disable=SC2086 # two words
        queue -- help $topic
    done
    run_queue
}

@test "the environment" {
    evil_texts
    for evil in "${EVILS[@]}"; do
        printf 'bind "%s"\n%s\nbind ^X %s\n' "$evil" "$evil" "$evil" >"$T/editrc"
        for name in HOME HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME XDG_STATE_HOME BLIP2_MODELS BLIP2_ISA TERM LANG LC_ALL LC_CTYPE COLUMNS LINES NO_COLOR TMPDIR EDITRC; do
            for value in "$evil" "/$evil" "$T/$evil"; do
                queue "$name=$value" -- show no/such
                queue "$name=$value" -- caption -b 1 scene000.png
            done
            queue "$name=$evil" -- doctor
            queue "$name=/$evil" -- --help
            queue "$name=$evil" -- chat nix.png
        done
        queue "EDITRC=$T/editrc" -- chat nix.png
    done
    run_queue
}

@test "what files of a model say" {
    evil_texts
    local n=0
    while read -r file path; do
        change "$file" "setpath($path; \$evil)"
        mv "$T/model" "$T/model$n"
        queue -- show "$T/model$n"
        queue -- caption -b 1 -m "$T/model$n" scene000.png
        n=$((n + 1))
    done < <(cd "$ROOT/models/scenes" && for file in config.json generation_config.json preprocessor_config.json tokenizer_config.json; do
        jq -r --arg file "$file" 'paths(scalars) | $file + " " + tojson' "$file"
    done)
    for filter in '.added_tokens[0].content = $evil' '.model.type = $evil' '.model.unk_token = $evil' '.pre_tokenizer.type = $evil' \
        '.decoder.type = $evil' '.model.merges[0] = $evil' '.model.merges[0] = [$evil, "x"]' '.model.vocab[$evil] = 7' '.[$evil] = 1' \
        '.normalizer = {type: $evil}' '.post_processor.type = $evil'; do
        change tokenizer.json "$filter"
        mv "$T/model" "$T/model$n"
        queue -- caption -b 1 -m "$T/model$n" scene000.png
        queue -- show "$T/model$n"
        n=$((n + 1))
    done
    for evil in "${EVILS[@]}"; do
        copy_model "$T/model"
        printf -- '---\nlicense: %s\nlicense_name: %s\n---\n' "$evil" "$evil" >"$T/model/README.md"
        mv "$T/model" "$T/model$n"
        queue -- show "$T/model$n"
        queue -- show --json "$T/model$n"
        n=$((n + 1))
        for file in config.json tokenizer.json tokenizer_config.json generation_config.json; do
            for text in "$evil" "{\"model_type\": \"$evil\"}" "{\"$evil\": 1, \"$evil\": 2}" "[$evil" "{\"a\": $evil}"; do
                copy_model "$T/model$n"
                rm "$T/model$n/$file"
                echo "$text" >"$T/model$n/$file"
                queue -- caption -m "$T/model$n" scene000.png
                n=$((n + 1))
            done
        done
    done
    run_queue
}

@test "names in files of weights and of arrays" {
    evil_texts
    json_evil=$(printf 'e\e[31m\xc2\x9b31m\x7f\xe2\x80\xae\xc2\x85x' | jq -Rs .)
    local n=0 header
    for header in "{$json_evil: {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}" \
        "{\"x\": {\"dtype\": $json_evil, \"shape\": [1], \"data_offsets\": [0, 4]}}" \
        "{\"__metadata__\": {$json_evil: $json_evil}}" "{\"x\": $json_evil}" "{$json_evil"; do
        copy_model "$T/model$n"
        rm "$T/model$n/model.safetensors"
        length=$(printf '%s' "$header" | LC_ALL=C wc -c)
        printf "\\x$(printf %02x "$((length % 256))")\\x$(printf %02x "$((length / 256))")\\0\\0\\0\\0\\0\\0%s\\0\\0\\0\\0" "$header" >"$T/model$n/model.safetensors"
        queue -- show "$T/model$n"
        queue -- caption -m "$T/model$n" scene000.png
        n=$((n + 1))
    done
    for index in "{\"weight_map\": {\"a\": $json_evil}}" "{\"weight_map\": {$json_evil: \"model.safetensors\"}}" "{\"weight_map\": $json_evil}"; do
        copy_model "$T/model$n"
        rm "$T/model$n/model.safetensors"
        echo "$index" >"$T/model$n/model.safetensors.index.json"
        queue -- show "$T/model$n"
        n=$((n + 1))
    done
    for evil in "${EVILS[@]}"; do
        printf "\\x93NUMPY\\x01\\0\\x00\\x01%-255.255s\\n" "{'descr': '$evil', 'fortran_order': False, 'shape': (3, 1, 1), }" >"$T/$n.npy"
        queue -- debug run scenes --ids 2 --pixels "$T/$n.npy"
        n=$((n + 1))
    done
    run_queue
}

@test "lines of standard input" {
    evil_texts
    for evil in "${EVILS[@]}"; do
        printf '%s\n{"text": "%s"}\n{"%s": 1}\n{"text": "\\u001b\\u009b\\u202e"}\n' "$evil" "$evil" "$evil" >"$T/lines"
        printf '/%s\n/image %s\nwhat is %s?\n/image\n' "$evil" "$evil" "$evil" >"$T/questions"
        echo '{"ids": [27, 155, 7, 4, 5, 6, 100, 101, 102, 194, 159, 160, 161, 230, 231, 232, 233, 250, 251, 252, 253, 254, 255, 256, 257, 258]}' >"$T/ids"
        echo "INPUT=$T/lines" >>"$T/queue"
        queue -- debug tokenize scenes
        queue -- debug detokenize scenes
        echo "INPUT=$T/questions" >>"$T/queue"
        queue -- chat -b 1 scene000.png
        queue -- chat -b 1 --json scene000.png
        echo "INPUT=$T/ids" >>"$T/queue"
        queue -- debug detokenize scenes
    done
    run_queue
}

# The ids of an answer change places with those of single bytes in the vocabulary, so that the model
# says BEL ESC [ 3 1, a byte that is no UTF-8, BEL, CSI in two bytes, DEL ...
@test "what the model says" {
    evil_texts
    copy_model "$T/model"
    rm "$T/model/tokenizer.json"
    ids=$("$BLIP2" caption -b 1 --generation hf --json scene003.png | jq -c 'reduce .token_ids[] as $id ([]; if index($id) then . else . + [$id] end)')
    jq --argjson ids "$ids" '["ć", "ě", "[", "3", "1", "ľ", "Â", "Ľ", "ġ", "ĉ"] as $bytes
        | reduce range([($ids | length), ($bytes | length)] | min) as $i (.;
            (.model.vocab | to_entries | map(select(.value == $ids[$i])) | .[0].key) as $old
            | if $old == null or ($bytes | index($old)) then . else
                .model.vocab[$bytes[$i]] as $id | .model.vocab[$bytes[$i]] = $ids[$i] | .model.vocab[$old] = $id end)' \
        "$ROOT/models/scenes/tokenizer.json" >"$T/model/tokenizer.json"
    "$BLIP2" caption -b 1 --generation hf -m "$T/model" scene003.png >"$T/plain"
    LC_ALL=C grep -aqP '\xc2\x9b' "$T/plain" # to a file as it is
    [ "$(wc -l <"$T/plain")" -eq 1 ]
    "$BLIP2" caption -b 1 --generation hf --json -m "$T/model" scene003.png | jq -e '.text | contains("\u001b[31") and contains("\u009b")'
    for verb in caption "caption -b 5" "caption --sample -c 4 --temperature 5" "caption --json" "chat" "chat --json" "ask"; do
        # shellcheck disable=SC2086 # a verb and options
        set -- $verb --generation hf -m "$T/model" scene003.png
        [ "$verb" != ask ] || set -- "$@" "what is this?"
        echo 'what is this?' >"$T/questions"
        echo "INPUT=$T/questions" >>"$T/queue"
        queue -- "$@"
    done
    run_queue
}

@test "the picture's line of a chat" {
    evil_texts
    needs_terminal
    for evil in "${EVILS[@]}"; do
        cp scene001.png "$T/$evil.png"
        printf -v command '"$BLIP2" chat %q' "$T/$evil.png"
        echo "$command" >"$T/commands"
        (sleep 1; printf '/quit\n') | BLIP2=$BLIP2 TERM=dumb script -qec "bash '$T/commands'" /dev/null >"$T/screen"
        grep -aq "pixels" "$T/screen"
        if LC_ALL=C grep -aqP '\x1b\[31|\xc2[\x80-\x9f]|\x7f|\xe2\x80[\xaa-\xae]' "$T/screen"; then return 1; fi
        iconv -f UTF-8 -t UTF-8 "$T/screen" >/dev/null
    done
}
