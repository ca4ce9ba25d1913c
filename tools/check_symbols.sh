#!/bin/sh
# check_symbols.sh LIBBLIP2.so LIBBLIP2.a: fails when a defined global symbol is not blip2_*.
set -eu
bad=$({
    nm -D --defined-only "$1"
    nm -g --defined-only "$2"
} | awk 'NF == 3 && $2 ~ /^[A-TV-Z]$/ && $3 !~ /^blip2_/ { print $3 }')
[ -z "$bad" ] || {
    printf 'visible, but not blip2_*:\n%s\n' "$bad"
    exit 1
}
