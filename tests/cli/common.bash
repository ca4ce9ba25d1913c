# common.bash: loaded by every test of the command.

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    BLIP2=${BLIP2_BIN:-$ROOT/build/blip2}
    SAMPLES=$ROOT/models/scenes/samples
    IMAGES=$ROOT/tests/data/images
    CASES=$SAMPLES/cases.jsonl
    T=$BATS_TEST_TMPDIR
    cd "$SAMPLES" || return 1
    export XDG_STATE_HOME=$T/state
}

# blip2 ARGUMENTS: sets $status, $out (standard output) and $err (standard error).
blip2() {
    status=0
    "$BLIP2" "$@" >"$T/out" 2>"$T/err" || status=$?
    out=$(cat "$T/out")
    err=$(cat "$T/err")
}

# silent ARGUMENTS: the same, and it must give an answer and say nothing else.
silent() {
    blip2 "$@"
    [ "$status" -eq 0 ] && [ -z "$err" ] || { echo "status $status: $err"; return 1; }
}

# One line on standard error, starting as every message does; no crash, no sanitizer report.
one_error() {
    [ "$(wc -l <"$T/err")" -eq 1 ] || { cat "$T/err"; return 1; }
    [[ $err == "blip2: "* ]]
}

# failed CODE PATTERN: the exit code, one error line that holds the pattern, nothing printed.
failed() {
    [ "$status" -eq "$1" ] || { echo "status $status: $err"; return 1; }
    one_error || return 1
    # shellcheck disable=SC2053 # a pattern
    [[ $err == $2 ]] || { echo "got: $err"; return 1; }
    [ -z "$out" ]
}

captions() {
    jq -r '.caption' "$CASES"
}

# Skips the test where no pseudo-terminal can be had (a bare chroot).
needs_terminal() {
    script -qec true /dev/null >/dev/null 2>&1 </dev/null || skip "no pseudo-terminals here"
}
