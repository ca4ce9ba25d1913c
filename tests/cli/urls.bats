#!/usr/bin/env bats
# Pictures by their address, from a server on this machine (tests/tools/hub_server.c).
load common
load hub

CAPTION="a cat to the left of a cow on a purple background"

setup() {
    load common
    eval "$(declare -f setup | sed '1s/setup/common_setup/')"
    common_setup
    start_hub
    cp scene003.png "$T/hub/files/a.png"
}

teardown() {
    stop_hub
}

@test "caption, ask, chat, preprocess: an address in the place of a picture" {
    blip2 caption "$HUB/files/a.png"
    [ "$out" = "$CAPTION" ]
    [ -z "$err" ]
    blip2 caption "$HUB/files/a.png?size=large" scene003.png
    [ "$out" = "$HUB/files/a.png?size=large: $CAPTION
scene003.png: $CAPTION" ]
    blip2 ask "$HUB/files/a.png" "what is on the right?"
    [ "$out" = "a cow" ]
    out=$(echo "what is on the right?" | "$BLIP2" chat "$HUB/files/a.png")
    [ "$out" = "a cow" ]
    blip2 caption --json "$HUB/files/a.png"
    [ "$(jq -r .image <"$T/out")" = "$HUB/files/a.png" ]
    [ "$(jq -r .text <"$T/out")" = "$CAPTION" ]
    blip2 debug preprocess "$HUB/files/a.png" --u8 "$T/x.ppm"
    blip2 debug preprocess scene003.png --u8 "$T/y.ppm"
    cmp "$T/x.ppm" "$T/y.ppm"
}

@test "redirections are followed, five of them, to HTTP alone" {
    blip2 caption "$HUB/hop/5/a.png"
    [ "$out" = "$CAPTION" ]
    blip2 caption "$HUB/hop/6/a.png"
    failed 1 "blip2: $HUB/hop/6/a.png: expected at most 5 redirections, got more"
    blip2 caption "$HUB/loop"
    failed 1 "*expected at most 5 redirections, got more"
    blip2 caption "$HUB/to-file"
    failed 1 "*expected to be redirected to HTTP, got file:"
}

@test "what goes wrong is a failure of that picture, and the others are done" {
    blip2 caption "$HUB/files/none.png" scene003.png
    [ "$status" -eq 3 ]
    [ "$err" = "blip2: $HUB/files/none.png: the server answers with status 404" ]
    blip2 caption http://127.0.0.1:1/a.png
    failed 1 "blip2: http://127.0.0.1:1/a.png: no connection: *"
    echo '<html></html>' >"$T/hub/files/b.png"
    blip2 caption "$HUB/files/b.png"
    failed 1 "blip2: $HUB/files/b.png: picture: *"
    fault a.png "cut 1000"
    blip2 caption "$HUB/files/a.png"
    failed 1 "blip2: $HUB/files/a.png: the transfer broke off: *"
    : >"$T/hub/files/empty.png"
    blip2 caption "$HUB/files/empty.png"
    failed 1 "blip2: $HUB/files/empty.png: picture: the file is empty"
    fault a.png "nolength"
    blip2 caption "$HUB/files/a.png"
    [ "$out" = "$CAPTION" ]
}

@test "a file that is too large is not fetched" {
    truncate -s 257M "$T/hub/files/big.png"
    blip2 caption "$HUB/files/big.png"
    failed 1 "blip2: $HUB/files/big.png: size: expected at most 268435456 bytes, got 269484032"
}

@test "no token goes along, and only what was named is fetched" {
    HF_TOKEN=hf_secret blip2 caption "$HUB/files/a.png"
    [ "$out" = "$CAPTION" ]
    [ "$(requests secret)" -eq 0 ]
    # --pixels is a file's name, and lines of standard input are questions
    rm "$T/hub/log"
    blip2 debug run scenes --pixels "$HUB/files/a.png" --ids 2
    failed 1 "*a URL is not fetched*"
    [ ! -e "$T/hub/log" ]
    # a file of that name is that file
    cd "$T"
    mkdir -p "http:/x"
    cp "$SAMPLES/scene003.png" "http:/x/a.png"
    blip2 caption http://x/a.png
    [ "$out" = "$CAPTION" ]
}

@test "HTTPS: who is not trusted is refused, and it leads to HTTPS alone" {
    command -v openssl >/dev/null || skip "no openssl"
    mkdir "$T/tls"
    cd "$T/tls"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost >/dev/null 2>&1
    { printf 'HTTP/1.0 200 OK\r\n\r\n'; cat "$SAMPLES/scene003.png"; } >a.png
    printf 'HTTP/1.0 302 Found\r\nLocation: %s/files/a.png\r\n\r\n' "$HUB" >down.png
    openssl s_server -accept 0 -key key.pem -cert cert.pem -HTTP >"$T/tls/said" 2>&1 3>&- 9>&- &
    server=$!
    for _ in $(seq 100); do
        port=$(sed -n 's/^ACCEPT.*:\([0-9]*\)$/\1/p' "$T/tls/said")
        [ -z "$port" ] || break
        sleep 0.05
    done
    blip2 caption "https://localhost:$port/a.png"
    failed 1 "blip2: https://localhost:$port/a.png: *certificate*"
    CURL_CA_BUNDLE=$T/tls/cert.pem blip2 caption "https://localhost:$port/a.png"
    [ "$out" = "$CAPTION" ] || { echo "$err"; kill $server; false; }
    CURL_CA_BUNDLE=$T/tls/cert.pem blip2 caption "https://localhost:$port/down.png"
    kill $server
    failed 1 "blip2: https://localhost:$port/down.png: redirected from https to http, *"
}
