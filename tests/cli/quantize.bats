#!/usr/bin/env bats
# blip2 quantize, and --dtype int8, int4, mixed: smaller weights in a file or while loading.

load common

CAPTION="a cat to the left of a cow on a purple background"

# precision MODEL: the types of the language model's weights.
precision() {
    blip2 show "$@" --json
    [ "$status" -eq 0 ] || { echo "$err"; return 1; }
    jq -r '.parts[] | select(.name == "language model").dtype' <<<"$out"
}

# offset FILE TENSOR: where its data begins.
offset() {
    local n
    n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    echo $((8 + n + $(tail -c +9 "$1" | head -c "$n" | jq --arg t "$2" '.[$t].data_offsets[0]')))
}

# poke FILE OFFSET BYTES
poke() {
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "a quantised file captions the same" {
    for to in int8 int4 mixed; do
        blip2 quantize --to $to scenes "$T/x.safetensors"
        blip2 caption -m "$T/x.safetensors" scene003.png
        [ "$out" = "$CAPTION" ]
        [ -z "$err" ]
        blip2 caption --dtype $to scene003.png
        [ "$out" = "$CAPTION" ]
        [ -z "$err" ]
    done
}

@test "a quantised file is smaller, and says so" {
    cd "$T"
    for to in int8 int4 mixed; do
        blip2 quantize --to $to scenes $to.safetensors
        [ "$status" -eq 0 ]
        [ -z "$out" ]
        [ -z "$err" ]
        [ "$(precision $to.safetensors)" = "$(precision --dtype $to)" ]
        grep -aq "\"blip2.quantised\":\"$to\"" $to.safetensors
    done
    [ "$(precision int8.safetensors)" = "I8, BF16" ]
    [ "$(precision int4.safetensors)" = "I4, BF16, I8" ]
    [ "$(stat -c %s int4.safetensors)" -lt "$(stat -c %s mixed.safetensors)" ]
    [ "$(stat -c %s mixed.safetensors)" -lt "$(stat -c %s int8.safetensors)" ]
    [ $(($(stat -c %s int8.safetensors) * 10)) -lt $(($(stat -c %s "$ROOT/models/scenes/model.safetensors") * 6)) ]
}

@test "int8 is the default; convert --dtype writes the same file" {
    cd "$T"
    blip2 quantize scenes a.safetensors
    [ "$status" -eq 0 ]
    blip2 convert --dtype int8 scenes b.safetensors
    cmp a.safetensors b.safetensors
    blip2 convert --to int8 scenes c.safetensors
    cmp a.safetensors c.safetensors
    blip2 convert a.safetensors d.safetensors
    cmp a.safetensors d.safetensors
}

@test "what makes no sense is said" {
    blip2 quantize --to int5 scenes "$T/x"
    failed 2 "*--to: expected packed|hf|lavis|int8|int4|mixed, got 'int5'*"
    blip2 quantize --to hf scenes "$T/x"
    failed 2 "*quantize: --to: expected int8, int4 or mixed, got hf"
    blip2 convert --to hf --dtype int8 scenes "$T/x"
    failed 2 "*expected the packed form for int8, got hf*"
    blip2 convert --to int8 --dtype int4 scenes "$T/x"
    failed 2 "*--to int8 and --dtype int4 exclude each other"
    blip2 convert --dtype bf16 scenes "$T/x"
    failed 2 "*dtype: expected int8, int4 or mixed*"
    blip2 quantize scenes
    [ "$status" -eq 2 ]
    blip2 quantize "$T/absent" "$T/x"
    failed 4 "*absent: model: *"
    blip2 quantize scenes "$T/none/x"
    failed 1 "*/none/x*: No such file or directory"
    mkdir "$T/d"
    blip2 quantize scenes "$T/d"
    failed 2 "*/d: expected the name of a file, got a directory"
    [ ! -e "$T/x" ]
    blip2 caption --load_in_4bit scene003.png
    failed 2 "*did you mean --dtype int4?"
}

@test "a file that is there is replaced, even by itself" {
    cd "$T"
    echo old >x.safetensors
    blip2 quantize scenes x.safetensors
    [ "$status" -eq 0 ]
    cp x.safetensors y.safetensors
    blip2 convert x.safetensors x.safetensors
    cmp x.safetensors y.safetensors
    blip2 convert scenes p.safetensors
    blip2 quantize p.safetensors p.safetensors
    [ "$status" -eq 0 ]
    cmp p.safetensors y.safetensors
}

@test "what is quantised already is not again" {
    cd "$T"
    blip2 quantize scenes x.safetensors
    blip2 quantize --to int4 x.safetensors y.safetensors
    failed 5 "*x.safetensors: tensor *: expected F32, F16 or BF16, got I8: quantised already; take the original model"
    [ ! -e y.safetensors ]
    blip2 convert --to hf x.safetensors y
    failed 2 "*only a packed file can hold quantised weights"
    [ ! -e y ]
    [ ! -e y.partial ]
    blip2 caption --dtype int4 -m x.safetensors "$SAMPLES/scene003.png"
    [ "$out" = "$CAPTION" ]
    [[ $err == *"stays as it is stored, quantised already, in spite of int4 "* ]]
}

@test "on a full disk, without memory and interrupted it leaves nothing" {
    cd "$T"
    if (ulimit -f 100; exec "$BLIP2" quantize scenes x.safetensors) 2>"$T/err"; then return 1; fi
    [[ $(cat "$T/err") == *"x.safetensors: File too large" ]]
    for n in 1 20 300 2000; do
        blip2 quantize --to mixed --fail-alloc $n scenes x.safetensors
        if [ "$status" -ne 0 ]; then
            [ "$status" -eq 6 ]
            one_error
        fi
        rm -f x.safetensors
        [ -z "$(ls | grep safetensors || true)" ]
    done
    for i in 1 2 3 4 5; do
        "$BLIP2" quantize --to int4 scenes x.safetensors &
        sleep 0.0$i
        kill -TERM $! 2>/dev/null || true
        wait $! || true
        # whole, or not there
        [ ! -e x.safetensors ] || [ "$(precision x.safetensors)" = "I4, BF16, I8" ]
        rm -f x.safetensors
        [ -z "$(ls | grep safetensors || true)" ]
    done
}

@test "damaged scales are named" {
    cd "$T"
    blip2 quantize scenes x.safetensors
    name=language_model.model.decoder.layers.1.fc1.weight.scale
    poke x.safetensors $(($(offset x.safetensors $name) + 4 * 5)) '\0\0\300\177'
    blip2 caption -m x.safetensors "$SAMPLES/scene003.png"
    failed 5 "*x.safetensors: tensor \"$name\": scale 5: expected a number, got nan"
    blip2 quantize scenes x.safetensors
    sed -i "s/$name\"/${name%e}f\"/" x.safetensors
    blip2 caption -m x.safetensors "$SAMPLES/scene003.png"
    failed 5 "*fc1.weight\": expected F32, F16 or BF16, got I8*"
    blip2 quantize --to int4 scenes x.safetensors
    sed -i "s/int4 panel32 /int9 panel32 /" x.safetensors
    blip2 caption -m x.safetensors "$SAMPLES/scene003.png"
    failed 5 "*layout: expected \"panel32 \[OUT,IN\]\", or that of int4, got \"int9*convert the model again"
}

@test "weights that are no numbers are not written" {
    mkdir "$T/m"
    cp "$ROOT"/models/scenes/*.json "$ROOT/models/scenes/model.safetensors" "$T/m"
    cd "$T"
    chmod u+w m/model.safetensors
    name=language_model.model.decoder.layers.1.fc1.weight
    poke m/model.safetensors $(($(offset m/model.safetensors $name) + 2 * (7 * 192 + 3))) '\300\177'
    for to in int8 int4; do
        blip2 quantize --to $to m x.safetensors
        failed 5 "*tensor \"$name\": row 7: expected numbers within the range of I[48], got others"
        [ ! -e x.safetensors ]
    done
}

@test "bitsandbytes' settings in config.json are no error, another method's are" {
    mkdir "$T/m"
    cp "$ROOT"/models/scenes/*.json "$T/m"
    ln -s "$ROOT/models/scenes/model.safetensors" "$T/m"
    jq '.quantization_config = {quant_method: "bitsandbytes", load_in_8bit: true, load_in_4bit: false,
        llm_int8_skip_modules: ["lm_head"], llm_int8_threshold: 6.0, bnb_4bit_quant_type: "fp4"}' \
        "$ROOT/models/scenes/config.json" >"$T/m/config.json"
    blip2 caption -m "$T/m" scene003.png
    [ "$out" = "$CAPTION" ]
    [ -z "$err" ]
    jq '.quantization_config = {load_in_8bit: true}' "$ROOT/models/scenes/config.json" >"$T/m/config.json"
    blip2 caption -m "$T/m" scene003.png
    [ "$out" = "$CAPTION" ]
    jq '.quantization_config = {quant_method: "gptq", bits: 4}' "$ROOT/models/scenes/config.json" >"$T/m/config.json"
    blip2 caption -m "$T/m" scene003.png
    failed 5 "*quantization_config: expected none, got weights quantised with gptq*"
}
