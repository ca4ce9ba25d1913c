#!/usr/bin/env bats
# show, doctor, bench.
load common

@test "show: the same facts as text and as JSON" {
    blip2 show --json
    [ "$status" -eq 0 ]
    jq -e '.parameters > 6000000 and .weight_bytes > 13000000 and .image_size == 96 and .query_tokens == 16
        and .vocabulary == 588 and .missing == null and (.parts | length) >= 4
        and ([.parts[].parameters] | add) == .parameters' <<<"$out"
    [ "$("$BLIP2" show scenes --json | jq -c 'del(.memory_available)')" = "$(jq -c 'del(.memory_available)' <<<"$out")" ]
    facts=$out
    blip2 show "$ROOT/models/scenes"
    [ "$status" -eq 0 ]
    grep -q "$(jq -r .architecture <<<"$facts" | cut -c 1-20)" <<<"$out"
    grep -q "588 tokens" <<<"$out"
    [ "$(awk '{ if (length > n) n = length } END { print n }' "$T/out")" -le 80 ]
}

@test "doctor" {
    blip2 doctor
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    grep -q "kernel set" <<<"$out"
    grep -q "embedded model" <<<"$out"
    blip2 doctor --json
    formats=$("$BLIP2" doctor | sed -n 's/^ *picture formats *//p')
    [[ $formats == "JPEG PNG WebP GIF BMP PNM TIFF"* ]]
    [ "$(jq -r '.picture_formats | join(" ")' <<<"$out")" = "${formats,,}" ]
    avif=no
    ! "$BLIP2" caption -b 1 "$ROOT/tests/data/images/heif/rgb.avif" >/dev/null 2>&1 || avif=yes
    [ $avif = "$(jq -r 'if .picture_formats | index("avif") then "yes" else "no" end' <<<"$out")" ]
    jq -e '(.machine.cpu | length) > 0 and (.isas | index("portable")) != null and .machine.peak_gops.f32 > 0
        and .machine.read_gbs.mapped > 0 and .memory > 0 and (.embedded_model | type) == "string"' <<<"$out"
}

@test "doctor and bench measure; the stored choice is renewed when asked" {
    export XDG_CACHE_HOME=$T/cache
    [ "$("$BLIP2" doctor --json | jq .probe_cached)" = false ]
    stored=$(find "$T/cache" -type f)
    edited='.bf16 = (if .bf16 == "bf16" then "widened" else "bf16" end)'
    jq "$edited" "$stored" >"$T/edited"
    cp "$T/edited" "$stored"
    blip2 doctor --json
    jq -e '.probe_cached and .probe_doubtful and .machine.peak_gops.f32 > 1' <<<"$out"
    [ "$(jq .bf16 "$stored")" = "$(jq .bf16 "$T/edited")" ]
    [ "$(jq -c 'keys' "$stored")" = '["bf16","cpu","version"]' ]
    [[ $("$BLIP2" doctor | tr -s ' \n' ' ') == *"(chosen earlier; what was measured now says otherwise, see --measure)"* ]]
    cp "$T/edited" "$stored"
    blip2 bench --json --repeat 1
    jq -e '.stages.gemm | .peak_gops > 1 and .of_peak <= 1 and (.gops / .peak_gops - .of_peak | fabs) < 0.001' <<<"$out"
    jq -e '.stages.decode | .read_gbs > 0.1 and (.gbs / .read_gbs - .of_bandwidth | fabs) < 0.001' <<<"$out"
    blip2 doctor --json --measure
    jq -e '(.probe_cached or .probe_doubtful) | not' <<<"$out"
    [ "$(jq .bf16 "$stored")" != "$(jq .bf16 "$T/edited")" ]
}

@test "doctor follows BLIP2_ISA" {
    [ "$(BLIP2_ISA=portable "$BLIP2" doctor --json | jq -r .machine.isa)" = portable ]
}

@test "bench: table and JSON" {
    blip2 bench --json --repeat 1 --threads 1
    [ "$status" -eq 0 ]
    jq -e '(.machine | has("cpu") and has("isa") and .threads == 1)
        and (.machine.peak_gops | keys) == ["bf16","f32","fp16","int8"]
        and (.machine.read_gbs | keys) == ["huge","mapped"]
        and (.stages | keys) == ["caption","decode","decode_beam5","encode","gemm","prefill","preprocess","qformer"]
        and ([.stages[].ms] | min) > 0 and (.stages.gemm | has("kernel") and has("gops") and has("of_peak"))
        and (.stages.decode | has("gbs"))
        and .weights_bytes > 13000000 and .peak_rss_bytes > 0 and .load_ms > 0 and (.dtype | length) > 0' <<<"$out"
    blip2 bench --repeat 1
    [ "$status" -eq 0 ]
    [ "$(awk '{ if (length > n) n = length } END { print n }' "$T/out")" -le 80 ]
}

@test "bench: an unknown synthetic type" {
    blip2 bench --synthetic blip2-opt-99b
    [ "$status" -eq 2 ] || [ "$status" -eq 4 ]
    one_error
    [[ $err == *blip2-opt-99b* ]]
    blip2 bench --synthetic opt-2.7b -m scenes
    failed 2 "*exclude each other"
}

# hidden DIRECTORY COMMAND...: the command where that directory is empty
hidden() {
    unshare -rm true 2>/dev/null || skip "no namespaces here"
    # shellcheck disable=SC2016
    unshare -rm sh -c 'mount -t tmpfs none "$0" && "$@"' "$@" >"$T/out" 2>"$T/err" && status=0 || status=$?
    out=$(cat "$T/out")
    err=$(cat "$T/err")
}

@test "without /proc: what is not known is not nothing" {
    hidden /proc "$BLIP2" show
    [ "$status" -eq 0 ]
    [[ $(tr -s ' \n' ' ' <<<"$out") == *"what is available here is not known"* ]]
    hidden /proc "$BLIP2" show --json
    jq -e '.memory_available == null' <<<"$out"
    hidden /proc "$BLIP2" doctor
    [ "$status" -eq 0 ]
    [[ $out == *"available: unknown"* ]]
    if grep -q " 0 bytes" <<<"$out"; then return 1; fi
    hidden /proc "$BLIP2" bench --repeat 1
    [ "$status" -eq 0 ]
}

@test "without the model that comes with the program" {
    cd /
    hidden "$ROOT/models" "$BLIP2" caption "$SAMPLES/scene000.png"
    failed 4 "blip2: scenes: model: comes with the program*is not there*"
    hidden "$ROOT/models" "$BLIP2" doctor
    [ "$status" -eq 4 ]
}
