#!/usr/bin/env bats
# What was installed uses what was installed with it, wherever it lies.
load common

@test "an installed program takes the model beside it, not that of the sources" {
    mkdir -p "$T/p/bin" "$T/p/share/blip2/models"
    cp "$BLIP2" "$T/p/bin"
    cp -r "$ROOT/models/scenes" "$T/p/share/blip2/models"
    [ "$(realpath "$("$T/p/bin/blip2" show --json | jq -r .path)")" = "$(realpath "$T/p/share/blip2/models/scenes")" ]
    mkdir -p "$T/own"
    cp -r "$ROOT/models/scenes" "$T/own"
    [ "$(BLIP2_MODELS=$T/own "$T/p/bin/blip2" show --json | jq -r .path)" = "$T/own/scenes" ]
    [ "$(realpath "$("$BLIP2" show --json | jq -r .path)")" = "$ROOT/models/scenes" ]
}

@test "an installation can be moved: blip2.pc, the library's model" {
    build=$(dirname "$BLIP2")
    [ -f "$build/cmake_install.cmake" ] || skip "not in a build folder"
    cmake --install "$build" --prefix "$T/first" >/dev/null
    mv "$T/first" "$T/second"
    PKG_CONFIG_PATH=$(dirname "$(find "$T/second" -name blip2.pc)")
    export PKG_CONFIG_PATH
    [ "$(realpath "$(pkg-config --variable=includedir blip2)")" = "$T/second/include" ]
    libdir=$(pkg-config --variable=libdir blip2)
    [ -f "$libdir/libblip2.so" ]
    cat >"$T/path.c" <<'END'
#include <blip2.h>
#include <stdio.h>
int main(void)
{
    blip2_error err = {0};
    blip2_model *model = blip2_model_load(NULL, NULL, &err);
    const blip2_info *info = blip2_model_info(model);
    puts(info ? info->path : err.message);
    blip2_model_free(model);
    return 0;
}
END
    # shellcheck disable=SC2046
    ${CC:-cc} "$T/path.c" -o "$T/path" $(pkg-config --cflags --libs blip2)
    [ "$(realpath "$(LD_LIBRARY_PATH=$libdir "$T/path")")" = "$T/second/share/blip2/models/scenes" ]
}
