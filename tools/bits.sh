#!/bin/sh
# bits.sh PROGRAM: checksums of a fixed list of captions, answers, generated ids and activations, on
# every kernel set of this machine. A change that shall not change results is compared by
#     tools/bits.sh OLD/blip2 >old; tools/bits.sh build/blip2 >new; diff old new
# Both on one machine: kernels and the C library's expf differ between processors.
set -eu
program=$1
case $program in /*) ;; *) program=$PWD/$program ;; esac
cd "$(dirname "$0")/.."
scenes=models/scenes
tiny=tests/golden/opt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sum() {
    sha256sum | cut -c 1-16
}

# note NAME COMMAND...: the checksum of what it prints, times left out.
note() {
    name=$1
    shift
    printf '%s %s\n' "$("$@" 2>&1 | sed 's/, "timings_ms": {[^}]*}//' | sum)" "$isa $name"
}

captions() {
    all="$scenes/samples/scene000.png $scenes/samples/scene001.png $scenes/samples/scene002.png
        $scenes/samples/scene003.png $scenes/samples/scene004.png $scenes/samples/scene005.png
        $scenes/samples/scene006.png $scenes/samples/scene007.png $scenes/samples/scene008.png
        $scenes/samples/scene009.png $scenes/samples/scene010.png $scenes/samples/scene011.png"
    for type in f32 bf16 int8; do
        for options in "" "-b 1" "-c 3" "-g hf" "-g hf -b 4 -c 2" "-s --seed 7" \
            "-s --seed 3 -c 3 --temperature 2 --top-k 0 --top-p 1" "-s -b 3 --seed 5" \
            "-g hf -s --seed 9 -b 2" "--repetition-penalty 1.5" "-b 1 --repetition-penalty 0.7" \
            "--no-repeat-ngram 2" "--min-length 12" "-b 1 --min-new-tokens 9 -n 14" \
            "--length-penalty -1 --early-stopping never" "-g hf -b 3 --early-stopping true" \
            "-p a --max-length 9" "--raw-prompt Question:"; do
            # shellcheck disable=SC2086
            note "caption $type $options" "$program" caption --json --dtype $type $options $all
        done
        # shellcheck disable=SC2086
        for options in "" "-g hf" "-s --seed 2" "-b 1 -n 20"; do
            note "ask $type $options" "$program" ask --json --dtype $type $options \
                $scenes/samples/scene003.png "what is on the right?"
        done
    done
}

# Every activation of a pass: the tiny models of the goldens and the embedded one.
activations() {
    for kind in t5 itm; do
        rm -rf "$work/dump"
        "$program" debug preprocess --size 28 $scenes/samples/scene000.png -o "$work/x.npy"
        "$program" debug run tests/golden/$kind --pixels "$work/x.npy" --ids 2,7,11,5 --dump "$work/dump" >/dev/null
        for file in "$work"/dump/*.npy; do
            note "$kind $(basename "$file")" cat "$file"
        done
    done
    for pixels in 28 42; do
        for type in f32 bf16; do
            rm -rf "$work/dump"
            "$program" debug preprocess --size $pixels $scenes/samples/scene000.png -o "$work/x.npy"
            "$program" debug run $tiny --pixels "$work/x.npy" --ids 2,7,11,5 --dtype $type \
                --dump "$work/dump" >/dev/null
            for file in "$work"/dump/*.npy; do
                note "tiny $pixels $type $(basename "$file")" cat "$file"
            done
        done
    done
    rm -rf "$work/dump"
    "$program" debug run scenes --pixels $scenes/samples/scene005.png --ids 2,260,515 \
        --dump "$work/dump" >/dev/null
    for file in "$work"/dump/*.npy; do
        note "scenes $(basename "$file")" cat "$file"
    done
    for options in "--generation hf" "--generation lavis --num-beams 3 --num-captions 2" \
        "--generation hf --num-beams 4 --max-new-tokens 12"; do
        # shellcheck disable=SC2086
        note "run $options" "$program" debug run $tiny --pixels "$work/x.npy" --ids 2,7,11 \
            --generate $options
    done
}

for isa in $("$program" doctor | sed -n 's/.*can run: \(.*\))$/\1/p'); do
    export BLIP2_ISA=$isa
    captions
    activations
done
