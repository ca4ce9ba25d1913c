#!/usr/bin/env bats
# --device, BLIP2_DEVICE: what is said without a card; with one ($BLIP2_TEST_CARD), the answers of both.
load common

@test "without a card: the CPU, or one line that says why not" {
    [ -z "${BLIP2_TEST_CARD:-}" ] || skip "there is a card"
    silent caption scene001.png
    answer=$out
    silent caption scene001.png --device auto
    [ "$out" = "$answer" ]
    silent caption scene001.png --device cpu
    [ "$out" = "$answer" ]
    for device in cuda cuda:0; do
        blip2 caption scene001.png --device $device
        [ "$status" -eq 2 ]
        one_error
        [[ $err == "blip2: cuda: "* ]]
    done
    BLIP2_DEVICE=cuda blip2 caption scene001.png
    [ "$status" -eq 2 ]
    BLIP2_DEVICE=cuda blip2 caption scene001.png --device cpu
    [ "$out" = "$answer" ]
    blip2 doctor
    [[ $out == *"device "*"cpu (cuda: "* ]]
    [ "$("$BLIP2" doctor --json | jq -r .machine.device)" = cpu ]
}

@test "a device that is none is a usage error that names where it stands" {
    for device in gpu cuda: cuda:x cuda:-1 cuda:1x cuda:99999 CPU; do
        blip2 caption scene001.png --device "$device"
        failed 2 "blip2: device: expected auto, cpu, cuda or cuda:N, got $device"
        BLIP2_DEVICE=$device blip2 caption scene001.png
        failed 2 "blip2: BLIP2_DEVICE: expected auto, cpu, cuda or cuda:N, got $device"
    done
    BLIP2_DEVICE= silent caption scene001.png
}

@test "a module of another build is refused by name" {
    [ -z "${BLIP2_TEST_CARD:-}" ] || skip "there is a module"
    mkdir "$T/bin"
    cp "$BLIP2" "$T/bin/blip2"
    echo "no library" >"$T/bin/libblip2-cuda.so"
    BLIP2="$T/bin/blip2"
    blip2 caption "$ROOT/models/scenes/samples/scene001.png" -m "$ROOT/models/scenes" --device cuda
    [ "$status" -eq 2 ]
    one_error
    [[ $err == *"$T/bin/libblip2-cuda.so"* ]]
    blip2 caption "$ROOT/models/scenes/samples/scene001.png" -m "$ROOT/models/scenes"
    [ "$status" -eq 0 ]
}

@test "on a card: the CPU's answers, of every kind of weights" {
    [ -n "${BLIP2_TEST_CARD:-}" ] || skip "no card"
    for dtype in f32 bf16 int8 int4; do
        silent caption scene00?.png --dtype $dtype --device cpu
        answer=$out
        silent caption scene00?.png --dtype $dtype --device cuda
        [ "$out" = "$answer" ]
    done
    "$BLIP2" convert "$ROOT/models/scenes" "$T/scenes.safetensors"
    silent caption scene00?.png -m "$T/scenes.safetensors" --device cuda
    [ "$out" = "$answer" ]
    blip2 caption scene001.png --device cuda:99
    failed 2 "blip2: cuda:99: expected a card from 0 to *"
}
