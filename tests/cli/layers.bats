#!/usr/bin/env bats
# tools/check_layers.sh finds what it is for: each test makes a small tree with one offence.

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    TREE=$BATS_TEST_TMPDIR/tree
    mkdir -p "$TREE/tools" "$TREE/cli" "$TREE/src/base" "$TREE/src/ops" "$TREE/src/text" "$TREE/src/tensor"
    cp "$ROOT/tools/check_layers.sh" "$TREE/tools/"
    printf '#ifndef A_H\n#define A_H\n#endif\n' >"$TREE/src/ops/ops.h"
    printf '#include "ops/ops.h"\n#include "base/mem.h"\n/* printf( is only named here */\nint f(void)\n{\n    return 1;\n}\n' >"$TREE/src/ops/ops.c"
    printf '#include "main.h"\n#include <blip2.h>\nint g(void)\n{\n    return 1;\n}\n' >"$TREE/cli/main.c"
    touch "$TREE/cli/main.h"
}

check() {
    run sh "$TREE/tools/check_layers.sh"
}

@test "a good tree passes" {
    check
    [ "$status" -eq 0 ]
}

@test "including a higher rank is found" {
    echo '#include "ops/ops.h"' >"$TREE/src/base/bad.c"
    check
    [ "$status" -eq 1 ]
    [[ $output == *"src/base/bad.c:1: base (rank 0) includes ops (rank 3)"* ]]
}

@test "including a neighbour of the same rank is found" {
    echo '#include "tensor/tensor.h"' >"$TREE/src/text/bad.c"
    check
    [ "$status" -eq 1 ]
    [[ $output == *"src/text/bad.c:1:"* ]]
}

@test "the command may not look inside the library" {
    echo '#include "base/mem.h"' >>"$TREE/cli/main.c"
    check
    [ "$status" -eq 1 ]
    [[ $output == *"cli/main.c:7:"* ]]
}

@test "conditional compilation in ops is found" {
    printf '#ifdef X\nint x;\n#endif\n' >"$TREE/src/ops/bad.c"
    check
    [ "$status" -eq 1 ]
    [[ $output == *"src/ops/bad.c:1: conditional compilation"* ]]
}

@test "printing and exiting below the command is found" {
    printf 'void f(void)\n{\n    printf("x");\n    exit(1);\n    fputs("x", stderr);\n    snprintf(0, 0, "exit(");\n}\n' >"$TREE/src/text/bad.c"
    check
    [ "$status" -eq 1 ]
    [[ $output == *"bad.c:3: calls printf"* ]]
    [[ $output == *"bad.c:4: calls exit"* ]]
    [[ $output == *"bad.c:5: calls fputs"* ]]
    [[ $output != *"bad.c:6:"* ]]
}

@test "long functions are found" {
    { echo 'void f(void)'; echo '{'; for i in $(seq 60); do echo "    x($i);"; done; echo '}'; } >"$TREE/src/text/a.c"
    cp "$TREE/src/text/a.c" "$TREE/src/text/b.c"
    cp "$TREE/src/text/a.c" "$TREE/src/text/c.c"
    check
    [ "$status" -eq 1 ]
    [[ $output == *"median function length 60"* ]]
}
