#!/usr/bin/env bats
# chat on a pseudo-terminal: the terminal's settings are given back whatever ends the program.
load common

# on_terminal COMMANDS: runs them by bash on a terminal of their own, where `chat` is the program and
# what is written to descriptor 5 is typed. Everything shown goes to $T/screen.
on_terminal() {
    needs_terminal
    [ "$("$BLIP2" doctor --json | jq -r .line_editing)" = libedit ] || skip "no line editing"
    mkfifo "$T/keys"
    printf '%s\n' 'trap : INT' "stty -g >'$T/before'" 'chat() { exec "$BLIP2" chat "$@"; }' "$1" "stty -g >'$T/after'" >"$T/commands"
    set -m # or it would ignore SIGINT and SIGQUIT
    BLIP2=$BLIP2 T=$T TERM=xterm script -qefc "bash '$T/commands'" /dev/null <"$T/keys" >"$T/screen" 2>&1 &
    TERMINAL=$!
    set +m
    exec 5>"$T/keys"
}

# until_true COMMAND...: waits for it to succeed, 20 seconds at most.
until_true() {
    for _ in $(seq 400); do
        "$@" 2>/dev/null && return 0
        sleep 0.05
    done
    echo "never: $*; the screen:"
    cat "$T/screen"
    return 1
}

shown() { # how often the text stands on the screen at least
    [ "$(grep -oF -- "$2" "$T/screen" | wc -l)" -ge "$1" ]
}

raw() { # the program reads with its own settings
    ! cmp -s <(stty -g <"/proc/$(cat "$T/pid")/fd/0") "$T/before"
}

same_settings() {
    until_true test -s "$T/after"
    exec 5>&-
    wait "$TERMINAL" || true
    cmp "$T/before" "$T/after"
}

CHAT='(echo $BASHPID >"$T/pid"; chat -t 1 scene001.png)'

ignored() { # by whoever started the tests (nohup, a script in the background), and so by the program
    local mask=0x$(awk '/^SigIgn/ { print $2 }' /proc/self/status)
    (((mask >> ($(kill -l "$1") - 1)) & 1))
}

@test "signals that end the program" {
    for name in TERM HUP INT QUIT USR1 ALRM ABRT SEGV BUS IO PWR STKFLT RTMIN RTMAX; do
        ! ignored "$name" || continue
        rm -f "$T"/keys "$T"/before "$T"/after "$T"/screen "$T"/pid
        on_terminal "$CHAT; echo \"ended: \$?\""
        until_true shown 1 "> "
        until_true raw
        kill -s "$name" "$(cat "$T/pid")"
        same_settings
        shown 1 "ended: $((128 + $(kill -l "$name")))" ||
            { [[ $name =~ ^(ABRT|SEGV|BUS)$ ]] && shown 1 AddressSanitizer; } || { cat "$T/screen"; return 1; }
    done
}

@test "signals that whoever started the program had it ignore (nohup) stay ignored" {
    for name in HUP TERM USR1; do
        rm -f "$T"/keys "$T"/before "$T"/after "$T"/screen "$T"/pid
        on_terminal "(trap '' $name; echo \$BASHPID >\"\$T/pid\"; chat -t 1 scene001.png); echo \"ended: \$?\""
        until_true shown 1 "> "
        until_true raw
        kill -s "$name" "$(cat "$T/pid")"
        sleep 0.2
        raw
        printf 'what is in the picture?\r' >&5
        until_true shown 1 "two strawberries"
        until_true shown 2 "> "
        printf '/quit\r' >&5
        same_settings
        shown 1 "ended: 0"
    done
}

@test "the end of input, /quit, an error" {
    for keys in '\004' '/quit\r'; do
        rm -f "$T"/keys "$T"/before "$T"/after "$T"/screen "$T"/pid
        on_terminal "$CHAT; echo \"ended: \$?\""
        until_true shown 1 "> "
        until_true raw
        printf "$keys" >&5
        same_settings
        shown 1 "ended: 0"
    done
    rm -f "$T"/keys "$T"/before "$T"/after "$T"/screen "$T"/pid
    on_terminal "(ulimit -f 0; echo hello | cat; chat -t 1 nix.png); echo \"ended: \$?\""
    same_settings
    shown 1 "ended: 1"
}

@test "stopped, the terminal is the shell's; going on, it is the program's again" {
    for way in signal key; do
        rm -f "$T"/keys "$T"/before "$T"/after "$T"/screen "$T"/pid "$T/stopped"
        on_terminal "set -m; $CHAT; stty -g >\"\$T/stopped\"; until [ -e \"\$T/go\" ]; do sleep 0.05; done; fg; echo \"ended: \$?\""
        until_true shown 1 "> "
        until_true raw
        printf 'what is' >&5
        until_true shown 1 "what is"
        if [ $way = key ]; then printf '\032' >&5; else kill -s TSTP "$(cat "$T/pid")"; fi
        until_true test -s "$T/stopped"
        cmp "$T/before" "$T/stopped"
        touch "$T/go"
        until_true raw
        until_true shown 2 "what is" # the line stands there again
        printf ' in the picture?\r' >&5
        until_true shown 1 "two strawberries"
        until_true shown 4 "> "
        kill -s TERM "$(cat "$T/pid")"
        same_settings
        shown 1 "ended: 143"
        rm "$T/go"
    done
}

@test "Control-C gives the line up; while an answer is searched for it stops the search" {
    on_terminal "(echo \$BASHPID >\"\$T/pid\"; chat -t 1 -b 200 -n 200 --min-new-tokens 200 scene001.png); echo \"ended: \$?\""
    until_true shown 1 "> "
    until_true raw
    printf 'what is\003' >&5
    until_true shown 2 "> "
    printf 'what is in the picture?\r' >&5
    until_true shown 1 "what is in the picture?"
    sleep 1
    printf '\003' >&5
    start=$(date +%s)
    until_true shown 1 "[stopped]"
    [ $(($(date +%s) - start)) -lt 6 ]
    until_true raw
    printf '/quit\r' >&5
    same_settings
    shown 1 "ended: 0"
}

@test "letters beyond ASCII are read in any locale" {
    for locale in C "" xx_XX.UTF-8; do
        rm -f "$T"/keys "$T"/before "$T"/after "$T"/screen "$T"/pid
        on_terminal "(export LANG= LC_ALL='$locale'; echo \$BASHPID >\"\$T/pid\"; chat -t 1 scene001.png); echo \"ended: \$?\""
        until_true shown 1 "> "
        until_true raw
        printf 'o\303\271 est-il?\r' >&5
        until_true shown 1 "où est-il?"
        until_true shown 2 "> "
        printf '/quit\r' >&5
        same_settings
        shown 1 "ended: 0"
    done
}
