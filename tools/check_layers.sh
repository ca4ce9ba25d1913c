#!/bin/sh
# check_layers.sh: the rules of the house that a compiler does not see. Prints every offence as
# FILE:LINE: what; exit 1 when there is one.
#   - a file includes only its own folder and folders of lower rank (docs/ARCHITECTURE.md)
#   - cli/ includes only include/blip2*.h and its own headers
#   - no #if in ops, nn, models, task, but for include guards
#   - above ops/ nobody touches what a tensor holds: it may lie in a GPU. So no include of tensor/host.h
#     (addresses within tensors) or ops/tape.h, no use of a stream's table (on->k), and no .data or .grad of
#     a name that the file declares as a Tensor. The .data of a Param, a string or a mapped file is
#     another thing and allowed; what slips through a cast, the fenced device of the tests catches
#   - nothing below cli/ prints or exits; BUG() alone may abort
#   - functions stay small: median at most 12 lines, 90 % at most 45, outside src/cpu
set -eu
cd "$(dirname "$0")/.."

report=$(mktemp)
trap 'rm -f "$report"' EXIT

files() {
    find "$@" -name '*.[ch]' | LC_ALL=C sort
}

check_includes() {
    # shellcheck disable=SC2046 # names of sources have no spaces
    awk '
    BEGIN {
        split("base 0 settings 1 net 1 tensor 1 text 1 image 1 dist 1 cpu 2 cuda 2 ckpt 2 ops 3 config 3 nn 4 models 5 " \
              "task 6 data 6 eval 7 train 8 api 9 debug 10", words, " ")
        for (i = 1; i in words; i += 2)
            rank[words[i]] = words[i + 1]
    }
    FNR == 1 {
        split(FILENAME, path, "/")
        room = path[2]
        if (!(room in rank))
            printf "%s: folder %s has no rank\n", FILENAME, room
    }
    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
        name = $0
        sub(/^[^"<]*["<]/, "", name)
        sub(/[">].*/, "", name)
        if (name ~ /^blip2.*\.h$/ && room != "api" && room != "debug")
            printf "%s:%d: includes %s, which is for api and debug only\n", FILENAME, FNR, name
        if ($0 !~ /"/)
            next
        if (name ~ /^blip2(_[a-z]+)?\.h$/)
            next
        folder = name
        if (!sub(/\/.*/, "", folder) || !(folder in rank))
            printf "%s:%d: includes \"%s\", expected \"folder/file.h\"\n", FILENAME, FNR, name
        else if (folder != room && rank[folder] >= rank[room])
            printf "%s:%d: %s (rank %d) includes %s (rank %d)\n", FILENAME, FNR, room, rank[room],
                   folder, rank[folder]
    }' $(files src)
}

check_command() {
    for source in $(files cli); do
        grep -n '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$source" |
            sed 's/^\([0-9]*\):[^"]*"\([^"]*\)".*/\1 \2/' |
            while read -r line name; do
                case $name in
                blip2.h | blip2_debug.h | blip2_train.h) continue ;;
                esac
                [ -f "cli/$name" ] || echo "$source:$line: includes \"$name\", which is not of cli/"
            done
    done
}

# An include guard is an #ifndef whose next line defines the same name.
check_conditions() {
    for folder in ops nn models task; do
        [ -d "src/$folder" ] || continue
        # shellcheck disable=SC2046
        awk '
        function offence() {
            if (pending)
                printf "%s: conditional compilation\n", pending
            pending = ""
        }
        FNR == 1 { offence() }
        pending && $1 == "#define" && $2 == name { pending = "" }
        { offence() }
        /^[ \t]*#[ \t]*(if|ifdef|elif|else)([^a-z]|$)/ {
            printf "%s:%d: conditional compilation\n", FILENAME, FNR
        }
        /^[ \t]*#[ \t]*ifndef/ { name = $2; pending = FILENAME ":" FNR }
        END { offence() }' $(files "src/$folder")
    done
}

# For awk: the current line without comments and with empty strings, so that only code counts.
CODE='
    function code(line) {
        if (FNR == 1)
            comment = 0
        gsub(/\\./, "", line)
        gsub(/"[^"]*"/, "\"\"", line)
        if (comment && !sub(/^.*\*\//, "", line))
            return ""
        comment = 0
        gsub(/\/\*([^*]|\*[^\/])*\*\//, "", line)
        sub(/\/\/.*/, "", line)
        if (sub(/\/\*.*/, "", line))
            comment = 1
        return line
    }'

# Names are those declared anywhere in the file: as "Tensor *x, *y", "Tensor x" or "const Tensor *x".
check_device() {
    for folder in nn models task data eval train api debug; do
        [ -d "src/$folder" ] || continue
        # shellcheck disable=SC2046
        awk "$CODE"'
        FNR == 1 { split("", tensor) }
        /^[ \t]*#[ \t]*include[ \t]*"(tensor\/host|ops\/tape)\.h"/ {
            printf "%s:%d: includes %s, which is for ops and kernels\n", FILENAME, FNR, $2
        }
        {
            line = code($0)
            if (line ~ /->k->|[^A-Za-z0-9_](on|dev)->k([^A-Za-z0-9_]|$)/)
                printf "%s:%d: calls a kernel, which is for ops\n", FILENAME, FNR
            declared = line ~ /(^|[^A-Za-z0-9_])Tensor[ ]/
            rest = line
            while (match(rest, /(^|[^A-Za-z0-9_])Tensor[ ]+(\*|const[ ])*[ ]*[A-Za-z0-9_]+/) ||
                   (declared && match(rest, /,[ ]*\*+[A-Za-z0-9_]+/))) {
                name = substr(rest, RSTART, RLENGTH)
                sub(/.*[^A-Za-z0-9_]/, "", name)
                tensor[name] = 1
                rest = substr(rest, RSTART + RLENGTH)
            }
            rest = line
            while (match(rest, /[A-Za-z0-9_]+(\[[^]]*\])?(->|\.)(data|grad)([^A-Za-z0-9_]|$)/)) {
                name = substr(rest, RSTART, RLENGTH)
                sub(/[^A-Za-z0-9_].*/, "", name)
                if (name in tensor)
                    printf "%s:%d: touches what tensor %s holds\n", FILENAME, FNR, name
                rest = substr(rest, RSTART + RLENGTH)
            }
        }' $(files "src/$folder")
    done
}

check_calls() {
    # shellcheck disable=SC2046
    awk "$CODE"'
    {
        rest = " " code($0)
        if (match(rest, /[^A-Za-z0-9_](printf|vprintf|puts|putchar|perror|exit|_exit|quick_exit|abort)[ ]*\(/) ||
            match(rest, /[^A-Za-z0-9_](fprintf|vfprintf|fputs|fputc|fwrite)[ ]*\([^)]*(stdout|stderr)/)) {
            call = substr(rest, RSTART + 1, RLENGTH - 1)
            sub(/[ ]*\(.*/, "", call)
            if (FILENAME != "src/base/error.c")
                printf "%s:%d: calls %s, only cli/ prints and exits\n", FILENAME, FNR, call
        }
    }' $(files src)
}

# A function body goes from a brace in the first column to a brace in the first column; its length
# is the lines between them. Structs and tables open their brace at the end of a line.
check_lengths() {
    # shellcheck disable=SC2046
    awk '
    FNR == 1 { start = 0 }
    /^\{/ { start = FNR }
    /^\}/ && start { print FNR - start - 1; start = 0 }' $(files src cli | grep -v '^src/cpu/') |
        sort -n | awk '
        { length_of[NR] = $1 }
        END {
            if (NR == 0)
                exit
            median = length_of[int((NR + 1) / 2)]
            most = length_of[int((NR * 9 + 9) / 10)]
            printf "functions outside src/cpu: %d, median %d lines, 90 %% at most %d\n", NR, median,
                   most > "/dev/stderr"
            if (median > 12)
                printf "src: median function length %d, expected at most 12\n", median
            if (most > 45)
                printf "src: 90 %% of the functions have up to %d lines, expected 45\n", most
        }'
}

{
    check_includes
    check_command
    check_conditions
    check_device
    check_calls
    check_lengths
} >"$report"

if [ -s "$report" ]; then
    cat "$report"
    exit 1
fi
echo "layers: good"
