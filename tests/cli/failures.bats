#!/usr/bin/env bats
# Bad input at the level of the command: one line, the documented exit code, the others still done.
load common

bad() {
    blip2 caption "$1"
    failed 1 "*$1: *"
}

@test "missing picture" {
    bad nix.png
}

@test "directory, empty file, device" {
    bad "$T"
    : >"$T/empty.png"
    bad "$T/empty.png"
    bad /dev/null
}

@test "unreadable picture" {
    bad /proc/self/mem # opens, but reading its start fails, for root too
    [ "$(id -u)" -ne 0 ] || skip "root may read a file without permissions"
    cp scene000.png "$T/secret.png"
    chmod 0 "$T/secret.png"
    bad "$T/secret.png"
}

@test "truncated picture" {
    head -c 3000 scene000.png >"$T/short.png"
    bad "$T/short.png"
}

@test "garbage, and text with the name of a picture" {
    head -c 5000 "$ROOT/models/scenes/tokenizer.json" >"$T/garbage.jpg"
    bad "$T/garbage.jpg"
}

@test "a header of 100000 x 100000 is refused at once" {
    bad "$IMAGES/malformed/p_dims_100000.png"
}

@test "every malformed picture of the test data: no crash, a line for each" {
    mapfile -t list < <(find "$IMAGES/malformed" -type f | LC_ALL=C sort)
    blip2 caption --json "${list[@]}"
    [ "$status" -eq 1 ] || [ "$status" -eq 3 ]
    [ "$(wc -l <"$T/out")" -eq "${#list[@]}" ]
    [ "$(jq -r .image <"$T/out")" = "$(printf '%s\n' "${list[@]}")" ]
    [ "$(jq 'select(.error)' -c <"$T/out" | wc -l)" -eq "$(wc -l <"$T/err")" ]
    [ -z "$(grep -v '^blip2: ' "$T/err")" ]
}

@test "a wrong extension does not matter" {
    cp scene003.png "$T/really.jpg"
    blip2 caption "$T/really.jpg"
    [ "$status" -eq 0 ]
    [ "$out" = "a cat to the left of a cow on a purple background" ]
}

@test "the others are still done: exit code 3, results in order" {
    blip2 caption scene001.png nix.png scene002.png "$T"
    [ "$status" -eq 3 ]
    [ "$out" = "scene001.png: two strawberries on a gray background
scene002.png: a rabbit on a blue background" ]
    [ "$(wc -l <"$T/err")" -eq 2 ]
    [ "$(grep -c 'nix.png: ' "$T/err")" -eq 1 ]
}

@test "with --json a failed picture has its object" {
    blip2 caption --json nix.png scene002.png
    [ "$status" -eq 3 ]
    jq -se '.[0].image == "nix.png" and (.[0].error | type) == "string" and .[1].text == "a rabbit on a blue background"' "$T/out"
}

@test "empty standard input" {
    blip2 caption - </dev/null
    [ "$status" -eq 1 ]
    one_error
}

@test "no such model: exit code 4" {
    blip2 caption -m "$T/nix" scene000.png
    failed 4 "*nix*"
    blip2 show no-such-model
    failed 4 "*no-such-model*"
}

@test "an empty directory is no good model" {
    mkdir "$T/empty"
    blip2 caption -m "$T/empty" scene000.png
    [ "$status" -eq 4 ] || [ "$status" -eq 5 ]
    one_error
}

@test "truncated weights: exit code 5, file named" {
    cp -r "$ROOT/models/scenes" "$T/model"
    chmod -R u+w "$T/model"
    head -c 5000000 "$ROOT/models/scenes/model.safetensors" >"$T/model/model.safetensors"
    blip2 caption -m "$T/model" scene000.png
    failed 5 "*model.safetensors: *"
}

@test "garbage config: exit code 5, file named" {
    cp -r "$ROOT/models/scenes" "$T/model"
    chmod -R u+w "$T/model"
    echo '{"model_type": ' >"$T/model/config.json"
    blip2 caption -m "$T/model" scene000.png
    failed 5 "*config.json: *"
}

@test "missing tokenizer: caption fails, show says it, debug run works" {
    cp -r "$ROOT/models/scenes" "$T/model"
    chmod -R u+w "$T/model"
    rm "$T/model"/tokenizer*
    blip2 caption -m "$T/model" scene000.png
    failed 5 "*tokenizer*"
    blip2 show "$T/model" --json
    [ "$status" -eq 0 ]
    jq -e '.tokenizer == null and (.missing | contains("tokenizer"))' <<<"$out"
    blip2 debug run "$T/model" --pixels scene000.png --ids 2 --generate
    [ "$status" -eq 0 ]
}

@test "disk full on output: exit code 1, one line" {
    status=0
    "$BLIP2" caption scene000.png scene001.png 2>"$T/err" >/dev/full || status=$?
    err=$(cat "$T/err")
    [ "$status" -eq 1 ]
    one_error
    [[ $err == "blip2: standard output: No space left on device" ]]
    for verb in "show" "doctor" "help" "help man" "--version"; do
        status=0
        "$BLIP2" $verb 2>"$T/err" >/dev/full || status=$?
        [ "$status" -eq 1 ]
        err=$(cat "$T/err")
        one_error
    done
}

# left CODE ARGUMENTS: the reader leaves after one line; no word about it, and soon.
left() {
    { status=0; timeout 60 "$BLIP2" "${@:2}" 2>"$T/err" || status=$?; echo $status >"$T/status"; } | head -1 >"$T/out"
    [ "$(cat "$T/status")" -eq "$1" ] || { cat "$T/status" "$T/err"; return 1; }
    [ "$(wc -l <"$T/out")" -eq 1 ]
}

@test "a reader that leaves early is no failure" {
    many=$(for _ in $(seq 100); do echo scene00*.png; done)
    # shellcheck disable=SC2086 # many words
    left 0 caption -t 1 -b 1 --batch 1 $many
    [ ! -s "$T/err" ]
    # shellcheck disable=SC2086
    left 0 caption -t 1 -b 1 --json $many
    [ ! -s "$T/err" ]
    for _ in $(seq 20000); do echo '{"text": "x"}'; done >"$T/lines"
    left 0 debug tokenize scenes <"$T/lines"
    [ ! -s "$T/err" ]
    left 0 help man
    [ ! -s "$T/err" ]
    # what failed before did fail
    # shellcheck disable=SC2086
    left 3 caption -b 1 --batch 1 nix.png $many
    [ "$(cat "$T/err")" = "blip2: nix.png: No such file or directory" ]
}

@test "what was printed before a failure stays" {
    blip2 caption --batch 1 scene001.png nix.png
    [ "$status" -eq 3 ]
    [ "$out" = "scene001.png: two strawberries on a gray background" ]
}

@test "allocation failures: exit code 6 or done, one line, no crash" {
    for n in 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987 1597 2584; do
        blip2 caption --threads 1 --num-beams 2 --fail-alloc $n scene003.png
        if [ "$status" -eq 0 ]; then
            [ "$out" = "a cat to the left of a cow on a purple background" ]
        else
            echo "$n: $status $err"
            failed 6 "*memory*"
        fi
    done
}

@test "allocation failures among several pictures: all are done, or the rest is" {
    "$BLIP2" caption --threads 1 --num-beams 1 scene00[0-3].png >"$T/want"
    for n in 400 500 600 700 800 900 1000 1200 1400 1600 1800; do
        blip2 caption --threads 1 --num-beams 1 --fail-alloc $n scene00[0-3].png
        [ "$status" -ne 0 ] || cmp "$T/want" "$T/out"
        [ "$status" -eq 0 ] || { echo "$n: $status $err"; failed 6 "*memory*"; }
    done
}

@test "16-bit grey that is cut to white: a notice" {
    blip2 caption "$IMAGES/valid/p_g16.png"
    [ "$status" -eq 0 ]
    one_error
    [[ $err == *"p_g16.png: grey of more than 8 bits"* ]]
    "$BLIP2" caption --json "$IMAGES/valid/p_g16.png" "$IMAGES/valid/p_g8.png" 2>/dev/null >"$T/out"
    [ "$(wc -l <"$T/out")" -eq 2 ]
    blip2 caption "$IMAGES/valid/p_g8.png"
    [ -z "$err" ]
}

@test "a format that is not read is named" {
    printf '\377\012\372\177' >"$T/x.jpg"
    blip2 caption "$T/x.jpg"
    failed 1 "*x.jpg: picture: the file is JPEG XL, expected JPEG, PNG, *"
}

# 6000 x 6000 pixels are 108 MB; the limit has room for the model and one of them. A pipe is read once.
@test "pictures that have no memory beside one another are done one after the other" {
    printf 'GIF89a\160\027\160\027\200\0\0\0\0\0\377\377\377,\0\0\0\0\1\0\1\0\0\2\2D\1\0;' >"$T/large.gif"
    (
        ulimit -v 200000
        "$BLIP2" caption --threads 1 --num-beams 1 "$T/large.gif" >"$T/one" || exit 77
    ) || skip "this build needs more memory"
    mkfifo "$T/pipe"
    cat "$T/large.gif" >"$T/pipe" &
    status=0
    (
        ulimit -v 200000
        timeout 60 "$BLIP2" caption --threads 1 --num-beams 1 "$T/large.gif" "$T/large.gif" scene001.png "$T/pipe"
    ) >"$T/out" 2>"$T/err" || status=$?
    [ "$status" -eq 0 ]
    [ ! -s "$T/err" ]
    {
        for i in 1 2; do printf '%s: %s\n' "$T/large.gif" "$(cat "$T/one")"; done
        echo "scene001.png: two strawberries on a gray background"
        printf '%s: %s\n' "$T/pipe" "$(cat "$T/one")"
    } | cmp - "$T/out"
}

@test "a model's JSON without memory: that, and not a damaged file" {
    mkdir "$T/model"
    ln -s "$ROOT"/models/scenes/* "$T/model"
    rm "$T/model/tokenizer.json"
    { printf '{"more": ['; printf '%01999999d' 0 | sed 's/0/1,/g'; printf '1],'; tail -c +2 "$ROOT/models/scenes/tokenizer.json"; } >"$T/model/tokenizer.json"
    for kilobytes in $(seq 45000 15000 165000); do
        status=0
        (ulimit -v "$kilobytes"; "$BLIP2" caption -t 1 -b 1 -m "$T/model" scene001.png) >"$T/out" 2>"$T/err" || status=$?
        [ "$status" -eq 6 ] || [ "$status" -eq 0 ] || { cat "$T/err"; return 1; }
    done
}

@test "libheif without memory: an error, and the next picture is done" {
    "$BLIP2" doctor --json | jq -e '.picture_formats | index("avif")' >/dev/null || skip "no libheif"
    (ulimit -v 60000; "$BLIP2" caption -t 1 -b 1 scene001.png >/dev/null 2>&1) || skip "this build needs more memory"
    for limit in $(seq -f "v %.0f" 60000 12000 300000) $(seq -f "d %.0f" 25000 12000 150000); do
        case $limit in v | d) what=$limit; continue ;; esac
        status=0
        (ulimit "-$what" "$limit"; "$BLIP2" caption -t 1 -b 1 "$ROOT/tests/data/images/heif/rgb.avif" scene001.png) >"$T/out" 2>"$T/err" || status=$?
        grep -q "^scene001.png: two strawberries" "$T/out"
        case $status in
        0) [ ! -s "$T/err" ] ;;
        3) [[ $(<"$T/err") == *"rgb.avif: "*"memory"* && $(wc -l <"$T/err") -eq 1 ]] ;;
        *) cat "$T/err"; return 1 ;;
        esac
    done
    [ "$status" -eq 0 ]
}

@test "disk full on --dump and -o" {
    blip2 debug preprocess scene000.png --u8 /dev/full
    failed 1 "blip2: /dev/full: No space left on device"
    blip2 debug preprocess scene000.png -o "$T/no/such/x.npy"
    failed 1 "*x.npy*"
}

@test "-o and --u8 keep what they are pointed at: devices, pipes, links" {
    blip2 debug preprocess --size 30 scene000.png --u8 "$T/want.ppm" -o "$T/want.npy"
    mkfifo "$T/pipe"
    for form in u8:ppm output:npy; do
        option=--${form%:*} want=$T/want.${form#*:}
        cat "$T/pipe" >"$T/got" &
        blip2 debug preprocess --size 30 scene000.png $option "$T/pipe"
        wait $!
        [ "$status" -eq 0 ]
        [ -p "$T/pipe" ]
        cmp "$T/got" "$want"
        ln -sf got "$T/link"
        chmod 600 "$T/got"
        echo old >"$T/got"
        blip2 debug preprocess --size 30 scene000.png $option "$T/link"
        [ -L "$T/link" ]
        cmp "$T/got" "$want"
        [ "$(stat -c %a "$T/got")" = 600 ]
        blip2 debug preprocess --size 30 scene000.png $option /dev/null
        [ "$status" -eq 0 ]
        [ -c /dev/null ]
        { echo first; "$BLIP2" debug preprocess --size 30 scene000.png $option /dev/stdout; } >"$T/got"
        { echo first; cat "$want"; } | cmp - "$T/got"
        "$BLIP2" debug preprocess --size 30 scene000.png $option /dev/stdout | cmp - "$want"
    done
}

@test "a limit on the size of files is an error and leaves nothing" {
    mkdir "$T/limited" "$T/cache"
    (ulimit -f 0; "$BLIP2" debug preprocess --size 30 scene000.png -o "$T/limited/x.npy" || echo $?) 2>&1 |
        cat >"$T/e" # the file of messages would be limited, too
    [ "$(cat "$T/e")" = "blip2: $T/limited/x.npy: File too large
1" ]
    (ulimit -f 0; XDG_CACHE_HOME=$T/cache "$BLIP2" doctor) | grep -q "peak f32"
    [ -z "$(find "$T/limited" "$T/cache" -type f)" ]
}

@test "a long path keeps the reason" {
    long=$(printf 'd/%.0s' $(seq 1 1500))d
    blip2 caption "$long/x.png"
    failed 1 "blip2: d/d/*d/x.png: No such file or directory"
    [ "${#err}" -lt 1100 ]
    blip2 caption "$(printf 'x%.0s' $(seq 1 3000)).png"
    failed 1 "blip2: xxx*x.png: File name too long"
    blip2 show "$long"
    failed 4 "*, got neither"
    blip2 debug run scenes --pixels scene000.png --dump "$long"
    failed 1 "*d: No such file or directory"
    blip2 debug preprocess scene000.png -o "$long/x.npy"
    failed 1 "*/x.npy: No such file or directory"
    blip2 "$long"
    failed 2 "*; see blip2 --help"
    blip2 caption --num-beams "$long" scene000.png
    failed 2 "blip2: --num-beams: expected a whole number*"
}

@test "weights that are cut short while they are in use: the file is named, exit code 5" {
    cp -r "$ROOT/models/scenes" "$T/my model"
    chmod -R u+w "$T/my model"
    many=$(for _ in $(seq 300); do echo scene00*.png; done)
    # shellcheck disable=SC2086 # many words
    { status=0; timeout 100 "$BLIP2" caption -b 1 --batch 1 -m "$T/my model" $many 2>"$T/err" || status=$?; echo $status >"$T/status"; } | {
        read -r _
        truncate -s 100000 "$T/my model/model.safetensors"
        cat >/dev/null
    }
    [ "$(cat "$T/status")" -eq 5 ]
    [[ $(cat "$T/err") == "blip2: $T/my model/model.safetensors: weights: the file was cut short"* ]]
    [ "$(wc -l <"$T/err")" -eq 1 ]
}

@test "a SIGBUS from outside ends the program as ever" {
    mkfifo "$T/questions"
    "$BLIP2" chat scene001.png <"$T/questions" >/dev/null 2>"$T/err" &
    program=$!
    exec 5>"$T/questions"
    sleep 0.5
    kill -BUS "$program"
    wait "$program" && status=0 || status=$?
    exec 5>&-
    [ "$status" -eq $((128 + $(kill -l BUS))) ]
}
