#!/usr/bin/env bats
# bench/peers: what can be tested of the comparisons without installing another program.
load common

PEERS="transformers products ctranslate2 plot"

# peer SCRIPT ARGUMENTS: with Python's own library only; sets $status, $out and $err.
peer() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || skip "no Python 3.9"
    local script=$ROOT/bench/peers/$1.py
    shift
    status=0
    PYTHONDONTWRITEBYTECODE=1 python3 -S "$script" "$@" >"$T/out" 2>"$T/err" || status=$?
    out=$(cat "$T/out")
    err=$(cat "$T/err")
}

# refused CODE PATTERN: no traceback; the last line says what is wrong.
refused() {
    [ "$status" -eq "$1" ] || { echo "status $status: $err"; return 1; }
    [[ $err != *Traceback* ]] || { echo "$err"; return 1; }
    # shellcheck disable=SC2053 # a pattern
    [[ $(tail -n 1 <<<"$err") == $2 ]] || { echo "got: $err"; return 1; }
}

@test "peers: every script is Python" {
    command -v python3 >/dev/null || skip "no Python"
    PYTHONPYCACHEPREFIX=$T/cache python3 -m py_compile "$ROOT"/bench/peers/*.py
}

@test "peers: --help needs no package" {
    for script in $PEERS; do
        peer "$script" --help
        [ "$status" -eq 0 ] || { echo "$err"; return 1; }
        [[ $out == usage:* ]]
    done
}

@test "peers: bad usage is said in a line" {
    peer transformers
    refused 2 "*required: model"
    peer transformers nowhere --ours int7
    refused 2 "*--ours: expected some of f32,*, got int7"
    peer transformers nowhere --rounds 0
    refused 2 "*expected numbers above 0"
    peer transformers nowhere --blip2 "$BLIP2"
    refused 1 "transformers.py: nowhere: expected a Hugging Face model directory, *"
    peer products --peer onednn --shapes cube
    refused 2 "*--shapes: expected words of vit qkv,*, got cube"
    peer ctranslate2 nowhere --blip2 "$T/none"
    refused 1 "ctranslate2.py: $T/none: expected the program, *"
    peer ctranslate2 nowhere --blip2 "$BLIP2"
    refused 1 "ctranslate2.py: nowhere: expected a Hugging Face model directory, *"
}

REPORT='{"peer": "Other", "title": "A <model>", "about": "other 1", "cpu": "CPU", "isa": "set", "threads": 2, "rounds": 3,
"date": "2026-01-02", "unit": "Milliseconds", "first": "stage", "against": "best", "columns": [
{"name": "Other a", "side": "peer", "format": "a"}, {"name": "Other f32", "side": "peer", "format": "f32"},
{"name": "blip2 f32", "side": "blip2", "format": "f32"}, {"name": "blip2 int8", "side": "blip2", "format": "int8"}], "rows": [
{"name": "first", "ms": {"Other a": 30, "Other f32": 40, "blip2 f32": 10, "blip2 int8": 60}},
{"name": "second", "work": 2e9, "show": "GFLOP/s", "ms": {"Other f32": 40, "blip2 f32": 10}}]}'

@test "peers: the table sets blip2 against the fastest format, or the same" {
    printf '%s' "$REPORT" >"$T/a.json"
    peer plot "$T/a.json" --table --out "$T/a.svg"
    [ "$status" -eq 0 ] || { echo "$err"; return 1; }
    [[ $out == *"| stage | Other a | Other f32 | blip2 f32 | ratio | blip2 int8 | ratio |"* ]]
    [[ $out == *"| first | 30.0 | 40.0 | 10.0 | 3.0 | 60.0 | 0.5 |"* ]]
    [[ $out == *"| second | - | 50.0 | 200 | 4.0 | - | - |"* ]]
    sed 's/"best"/"format"/' "$T/a.json" >"$T/b.json"
    peer plot "$T/b.json" --table --out "$T/b.svg"
    [[ $out == *"| first | 30.0 | 40.0 | 10.0 | 4.0 | 60.0 | - |"* ]]
}

@test "peers: the drawing is XML with the ratios; a file of something else is refused" {
    printf '%s' "$REPORT" >"$T/a.json"
    peer plot "$T/a.json" --out "$T/a.svg"
    python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$T/a.svg"
    for text in ">3.0<" ">0.5<" ">4.0<" "CPU, 2 threads, set; 2026-01-02" "A &lt;model&gt;"; do
        grep -qF "$text" "$T/a.svg" || { echo "no $text"; return 1; }
    done
    echo '{"rows": 1}' >"$T/b.json"
    peer plot "$T/b.json" --out "$T/b.svg"
    refused 1 "plot.py: $T/b.json: expected what a comparison writes with --json, got something else"
    peer plot "$T/none.json"
    refused 1 "plot.py: $T/none.json: No such file or directory"
}
