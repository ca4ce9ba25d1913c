#!/usr/bin/env bats
load common

@test "every question of the samples" {
    jq -r '.file as $f | .questions[] | [$f, .[0], .[1]] | @tsv' "$CASES" >"$T/questions"
    [ "$(wc -l <"$T/questions")" -gt 20 ]
    while IFS=$'\t' read -r file question answer; do
        got=$("$BLIP2" ask --threads 1 "$file" "$question")
        [ "$got" = "$answer" ] || { echo "$file: $question: expected $answer, got $got"; return 1; }
    done <"$T/questions"
}

@test "one question about several pictures" {
    blip2 ask scene000.png scene001.png "is there a phone in the picture?"
    [ "$status" -eq 0 ]
    [ "$(head -1 "$T/out")" = "scene000.png: yes" ]
    [ "$(wc -l <"$T/out")" -eq 2 ]
}

@test "--json" {
    blip2 ask --json scene000.png "is there a phone in the picture?"
    [ "$status" -eq 0 ]
    jq -e '.image == "scene000.png" and .text == "yes" and .question == "is there a phone in the picture?"
        and (.token_ids | type) == "array" and (.timings_ms.total > 0)' <<<"$out"
}

@test "--prompt and --raw-prompt" {
    blip2 ask scene003.png "what is on the right?" --prompt "Question: {} Short answer:"
    [ "$out" = "a cow" ]
    blip2 ask scene003.png "" --raw-prompt "Question: what is on the right? Answer:"
    [ "$out" = "a cow" ]
    blip2 ask scene003.png "x" --prompt "{}" --raw-prompt "x"
    failed 2 "*exclude each other"
}

@test "a question that is not UTF-8 is an error of one line" {
    blip2 ask scene000.png "$(printf 'is \377 there?')"
    failed 2 "blip2: question: byte 3: expected UTF-8, got 0xff"
    blip2 ask scene000.png "x" --prompt "$(printf '\377{}')"
    failed 2 "blip2: --prompt: byte 0: *"
}

@test "a question of 100 kB is cut, and that is said" {
    blip2 ask scene000.png "$(head -c 100000 /dev/zero | tr '\0' 'a')"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$T/out")" -eq 1 ]
    one_error
}

@test "an empty question" {
    blip2 ask scene000.png ""
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$T/out")" -eq 1 ]
}

@test "chat reads lines from a script and keeps the dialogue" {
    printf 'what is on the right?\n\nwhat color is the background?\n' >"$T/in"
    blip2 chat scene003.png <"$T/in"
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    [ "$out" = "a cow
purple" ]
}

@test "chat: /image, /reset, /quit" {
    printf 'what is in the picture?\n/image scene002.png\nwhat is in the picture?\n/reset\n/quit\nnever\n' >"$T/in"
    blip2 chat scene001.png <"$T/in"
    [ "$status" -eq 0 ]
    [ "$out" = "two strawberries
a rabbit" ]
}

@test "chat: a picture that cannot be opened is not answered about; the dialogue goes on with the next" {
    printf '/imge x\nwhat is in the picture?\n/image nix.png\nwhat is in the picture?\n/image scene002.png\nwhat is in the picture?' >"$T/in"
    blip2 chat scene001.png <"$T/in"
    [ "$status" -eq 3 ]
    [ "$out" = "two strawberries
a rabbit" ]
    [ "$err" = "blip2: unknown command /imge x; did you mean /image
blip2: nix.png: No such file or directory
blip2: question: expected a picture to ask about, got none; /image PATH opens one" ]
    blip2 chat --json scene001.png <"$T/in"
    [ "$status" -eq 3 ]
    [ "$(jq -r .image <<<"$out")" = "scene001.png
nix.png
nix.png
scene002.png" ]
    [ "$(jq -c "has(\"error\")" <<<"$out" | tr -d "\n")" = falsetruetruefalse ]
}

@test "chat: /image takes a path as terminals paste it" {
    cp scene003.png "$T/two words.png"
    cp scene003.png "$T/it's \"50%\" \\ \$x.png"
    cp scene001.png "$T/'quoted'"
    cd "$T"
    mkdir home
    cp scene001.png home 2>/dev/null || cp "$SAMPLES/scene001.png" home
    cat >in <<EOF
/image two words.png
what is on the left?
/image	"two words.png" 
what is on the left?
/image 'two words.png'
what is on the left?
/image two\\ words.png 
what is on the left?
/image "two"\\ 'words'.png
what is on the left?
/image file://$T/two%20words.png
what is on the left?
/image 'file://localhost$T/%74wo%20words.png'
what is on the left?
/image it\\'s\\ \\"50%\\"\\ \\\\\\ \\\$x.png
what is on the left?
/image "it's \\"50%\\" \\\\ \\\$x.png"
what is on the left?
EOF
    blip2 chat "$SAMPLES/scene002.png" <in
    [ "$status" -eq 0 ] || { echo "$err"; return 1; }
    [ "$(sort -u <<<"$out")" = "a cat" ]
    [ "$(wc -l <"$T/out")" -eq 9 ]
    printf "%s\n" "/image 'quoted'" "what is in the picture?" "/image ~/scene001.png" "what is in the picture?" >in
    HOME=$T/home blip2 chat "$SAMPLES/scene002.png" <in
    [ "$status" -eq 0 ] || { echo "$err"; return 1; }
    [ "$out" = "two strawberries
two strawberries" ]
    echo "/image file://$T/two%20words.png%00.txt" >in # no name holds a zero: it stays as it is
    blip2 chat "$SAMPLES/scene002.png" <in
    [[ $err == *"%00.txt: No such file"* ]]
    echo "/image 'open.png" >in
    blip2 chat "$SAMPLES/scene002.png" <in
    [[ $err == "blip2: 'open.png: No such file"* ]]
}

@test "chat: standard input holds the questions, not the picture" {
    echo x >"$T/in"
    blip2 chat - <"$T/in"
    failed 2 "blip2: chat: -: *"
    printf "/image -\nwhat is in the picture?\n" >"$T/in"
    blip2 chat scene001.png <"$T/in"
    [ "$out" = "two strawberries" ]
    one_error
}

@test "chat: a line that is not UTF-8 is said with its byte, the dialogue goes on" {
    printf "is \377 there?\nwhat is in the picture?\n" >"$T/in"
    blip2 chat scene001.png <"$T/in"
    [ "$status" -eq 3 ]
    [ "$out" = "two strawberries" ]
    [ "$err" = "blip2: question: byte 3: expected UTF-8, got 0xff" ]
}

@test "chat: a long dialogue does not run out of positions" {
    for i in $(seq 30); do echo "what is in the picture?"; done >"$T/in"
    blip2 chat --threads 1 scene001.png <"$T/in"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$T/out")" -eq 30 ]
}

@test "chat --json" {
    echo "what is in the picture?" >"$T/in"
    blip2 chat --json scene001.png <"$T/in"
    jq -e '.image == "scene001.png" and .question == "what is in the picture?" and .text == "two strawberries"' <<<"$out"
}

@test "chat with a terminal edits lines and keeps a history" {
    needs_terminal
    [ "$("$BLIP2" doctor --json | jq -r .line_editing)" = libedit ] || skip "no line editing"
    { sleep 1; printf 'what is in the picturf\177e?\r'; sleep 2; printf '/quit\r'; sleep 1; } |
        TERM=xterm script -qec "$BLIP2 chat scene001.png" /dev/null >"$T/out"
    grep -q "two strawberries" "$T/out"
    grep -q "picture?" "$XDG_STATE_HOME/blip2/chat_history" ||
        grep -q 'what' "$XDG_STATE_HOME/blip2/chat_history"
}

@test "chat: a NUL byte in a line, and input that cannot be read, are errors" {
    printf 'what is th\0ere?\nwhat is this?\n' | "$BLIP2" chat -b 1 scene001.png >"$T/out" 2>"$T/err" && status=0 || status=$?
    [ "$status" -eq 3 ]
    [ "$(cat "$T/err")" = "blip2: question: byte 10: expected UTF-8, got 0x00" ]
    [ "$(wc -l <"$T/out")" -eq 1 ]
    blip2 chat -b 1 scene001.png </
    failed 1 "blip2: standard input: Is a directory"
    blip2 debug tokenize scenes </
    failed 1 "blip2: standard input: Is a directory"
    blip2 caption - </
    failed 1 "blip2: standard input: Is a directory"
}
