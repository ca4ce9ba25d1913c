#!/usr/bin/env bats
# Folders in the place of pictures.
load common

# A folder with pictures, and what is none: hidden, of other names, in folders below, links.
tree() {
    mkdir -p "$T/p/sub/deep" "$T/p/.hidden" "$T/p/folder.png"
    cp scene001.png "$T/p/b.png"
    cp scene000.png "$T/p/a.JPG"
    cp scene002.png "$T/p/sub/c.png"
    cp scene003.png "$T/p/sub/deep/d.webp"
    cp scene003.png "$T/p/.e.png"
    cp scene003.png "$T/p/.hidden/f.png"
    echo text >"$T/p/notes.txt"
    ln -s ../p "$T/p/loop"
    ln -s sub/c.png "$T/p/z.png"
}

names() {
    jq -r .image <"$T/out" | sed "s|^$T/||"
}

@test "the pictures in a folder, sorted; -r those below it" {
    tree
    blip2 caption --json "$T/p"
    [ "$status" -eq 0 ]
    [ "$(names)" = "$(printf 'p/a.JPG\np/b.png\np/z.png')" ]
    blip2 caption --json -r "$T/p/"
    [ "$status" -eq 0 ]
    [ "$(names)" = "$(printf 'p/a.JPG\np/b.png\np/sub/c.png\np/sub/deep/d.webp\np/z.png')" ]
    blip2 caption --recursive --json scene005.png "$T/p/sub" scene004.png
    [ "$(names)" = "$(printf 'scene005.png\np/sub/c.png\np/sub/deep/d.webp\nscene004.png')" ]
}

@test "one picture of a folder stands behind its name; ask" {
    tree
    blip2 caption "$T/p/sub"
    [[ $out == "$T/p/sub/c.png: "* ]]
    blip2 ask -r "$T/p/sub/deep" "what is on the right?"
    [ "$out" = "$T/p/sub/deep/d.webp: a cow" ]
}

@test "an empty folder, one that only has folders, one that cannot be read" {
    tree
    mkdir "$T/empty" "$T/outer"
    mv "$T/p/sub" "$T/outer"
    blip2 caption "$T/empty"
    failed 1 "blip2: $T/empty: expected pictures in the folder (.jpg, .png, .webp, ...), got none; -r looks into the folders below it"
    blip2 caption "$T/outer" scene003.png
    [ "$status" -eq 3 ]
    [ "$(id -u)" -ne 0 ] || skip "root may read any folder"
    chmod 0 "$T/empty"
    blip2 caption "$T/empty"
    failed 1 "blip2: $T/empty: Permission denied"
}

@test "a damaged picture in a folder is heard of" {
    tree
    echo no picture >"$T/p/c.gif"
    blip2 caption "$T/p"
    [ "$status" -eq 3 ]
    [[ $err == "blip2: $T/p/c.gif: picture: "* ]]
    [ "$(wc -l <"$T/out")" -eq 3 ]
}

@test "-r belongs to pictures" {
    blip2 chat -r scene003.png
    failed 2 "*--recursive is no option of this command*"
}
