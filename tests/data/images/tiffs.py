"""Makes tiff/: small TIFFs of every kind that Pillow reads, and some that it refuses (but for those that we
read nevertheless, and for CIELab and for YCbCr of one sample, which we refuse); and
../preprocess/tiff.jsonl: what Pillow makes of them. Needs Pillow 13 with libtiff.

    python3 tiffs.py
"""
import hashlib, io, json, os, random, struct, warnings, zlib
from PIL import Image

warnings.simplefilter("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "tiff")
random.seed(7)
files = {}
W, H = 13, 9
NONE, JPEG, DEFLATE = 1, 7, 8


def picture(mode, w=W, h=H):
    bands = len(mode) if mode != "I;16" else 2
    return Image.frombytes(mode, (w, h), bytes(random.randrange(256) for _ in range(w * h * bands)))


def saved(name, image, **how):
    b = io.BytesIO()
    image.save(b, format="TIFF", **how)
    files[name + ".tif"] = b.getvalue()


def tiff(name, bits, photo, data, w=W, h=H, samples=1, e="<", tags=(), strips=None, big=False, compression=NONE):
    """By hand. bits: of a sample; strips: the pieces that data is in, with their rows."""
    pieces, rows = strips or ([data], h)
    values = {256: (4, [w]), 257: (4, [h]), 258: (3, [bits] * samples), 259: (3, [compression]), 277: (3, [samples]),
              278: (4, [rows]), 273: (4, pieces), 279: (4, [len(p) for p in pieces])}
    if photo is not None:
        values[262] = (3, [photo])
    values.update(dict(tags))
    values = {k: v for k, v in values.items() if v}
    if 324 in values:
        values[324] = (4, pieces)
        values[325] = values[279]
        for k in (273, 278, 279):
            values.pop(k, None)
    size = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 12: 8}
    letter = {1: "B", 2: "B", 3: "H", 4: "L", 7: "B"}
    n = len(values)
    head = 16 if big else 8
    at = head + (8 + 20 * n + 8 if big else 2 + 12 * n + 4)
    tail = b""
    places = []
    for p in pieces:
        places.append(at + len(tail))
        tail += p + bytes(len(p) & 1)
    entries = b""
    room = 8 if big else 4
    for tag, (kind, v) in sorted(values.items()):
        if v is pieces:
            v = places
        raw = struct.pack(e + letter[kind] * len(v), *v)
        count = struct.pack(e + ("Q" if big else "L"), len(v))
        if len(raw) > room:
            where = struct.pack(e + ("Q" if big else "L"), at + len(tail))
            tail += raw + bytes(len(raw) & 1)
            raw = where
        entries += struct.pack(e + "HH", tag, kind) + count + (raw + bytes(room))[:room]
    mark = b"II" if e == "<" else b"MM"
    if big:
        b = mark + struct.pack(e + "HHHQQ", 43, 8, 0, 16, n) + entries + bytes(8)
    else:
        b = mark + struct.pack(e + "HLH", 42, 8, n) + entries + bytes(4)
    files[name + ".tif"] = b + tail


def noise(n):
    return bytes(random.randrange(256) for _ in range(n))


def row_bytes(bits, samples=1, w=W):
    return (w * bits * samples + 7) // 8


# what Pillow writes
for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16"):
    source = picture("L").convert("1") if mode == "1" else picture("RGB").convert("P", palette=1, colors=50) if mode == "P" \
        else picture("RGB").convert("P", palette=1, colors=50).convert("PA") if mode == "PA" else picture(mode)
    for how in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        saved(f"{mode.replace(';', '')}_{how or 'raw'}", source, **({"compression": how} if how else {}))
for how in ("group3", "group4", "tiff_ccitt"):
    saved("1_" + how, picture("L", 40, 30).convert("1"), compression=how)
saved("P_deflate_old", picture("RGB").convert("P", palette=1, colors=9), compression="tiff_deflate")
smooth = Image.linear_gradient("L").resize((40, 24))
colour = Image.merge("RGB", [smooth, smooth.rotate(180), smooth.transpose(0)])
saved("L_jpeg", smooth, compression="jpeg")
saved("RGB_jpeg", colour, compression="jpeg", quality=90)
saved("YCbCr_jpeg", colour.convert("YCbCr"), compression="jpeg", quality=90)
saved("CMYK_jpeg", colour.convert("CMYK"), compression="jpeg", quality=90)
saved("RGB_predictor", colour, compression="tiff_lzw", tiffinfo={317: 2})
saved("RGB_strips", colour, compression="tiff_lzw", strip_size=300)
saved("RGB_zstd", colour, compression="zstd")
saved("RGB_lzma", colour, compression="lzma")
saved("RGB_pages", colour, save_all=True, append_images=[picture("L")])
for o in range(0, 10):
    tiff(f"orient_{o}", 8, 2, noise(3 * W * H), samples=3, tags={274: (3, [o])})
saved("orient_ycbcr", colour.convert("YCbCr"), compression="jpeg", tiffinfo={274: 6})
saved("orient_alpha", picture("RGBA"), tiffinfo={274: 3})
xmp = b'<x tiff:Orientation="8"/>'
tiff("orient_xmp", 8, 1, noise(W * H), tags={700: (1, list(xmp))})
tiff("orient_xmp_and_tag", 8, 1, noise(W * H), tags={700: (1, list(xmp)), 274: (3, [3])})
tiff("orient_xmp_undefined", 8, 1, noise(W * H), tags={700: (7, list(xmp))})

# what it does not write
for e, order in (("<", "ii"), (">", "mm")):
    for photo in (0, 1):
        for bits in (1, 2, 4, 8):
            tiff(f"{order}_grey{bits}_{photo}", bits, photo, noise(row_bytes(bits) * H), e=e)
    for bits in (1, 2, 4, 8):
        tiff(f"{order}_palette{bits}", bits, 3, noise(row_bytes(bits) * H), e=e,
             tags={320: (3, [random.randrange(65536) for _ in range(3 << bits)])})
    letter = {16: "H", 32: "L"}
    low = [random.choice([0, 100, 255, 256, 300, 65535, 32768, random.randrange(300)]) for _ in range(W * H)]
    tiff(f"{order}_grey16", 16, 1, struct.pack(f"{e}{W*H}H", *low), e=e)
    tiff(f"{order}_grey16_signed", 16, 1, struct.pack(f"{e}{W*H}H", *low), e=e, tags={339: (3, [2])})
    whole = [random.choice([-5, 0, 80, 255, 256, 1 << 30, -1 << 31]) for _ in range(W * H)]
    tiff(f"{order}_grey32_signed", 32, 1, struct.pack(f"{e}{W*H}l", *whole), e=e, tags={339: (3, [2])})
    parts = [random.choice([-1.5, 0.0, 0.9, 80.5, 254.9, 255.0, 1e9, float("inf"), float("-inf")]) for _ in range(W * H)]
    tiff(f"{order}_float_1", 32, 1, struct.pack(f"{e}{W*H}f", *parts), e=e, tags={339: (3, [3])})
    tiff(f"{order}_float_0", 32, 0, struct.pack(f"{e}{W*H}f", *parts), e=e, tags={339: (3, [3])})
    for extra, word in ((0, "x"), (1, "a"), (2, "A"), (999, "corel"), (None, "none")):
        more = {338: (3, [extra])} if extra is not None else {}
        tiff(f"{order}_rgb8_{word}", 8, 2, noise(4 * W * H), samples=4, e=e, tags=more)
        tiff(f"{order}_rgb16_{word}", 16, 2, noise(8 * W * H), samples=4, e=e, tags=more)
        tiff(f"{order}_grey8_{word}", 8, 1, noise(2 * W * H), samples=2, e=e, tags=more)
    for extra in ((0, 0), (1, 0), (2, 0), (0, 1), (2, 2), (0, 0, 0), (1, 0, 0), (2, 0, 0)):
        tiff(f"{order}_rgb8_{''.join(map(str, extra))}", 8, 2, noise((3 + len(extra)) * W * H), samples=3 + len(extra), e=e,
             tags={338: (3, list(extra))})
    tiff(f"{order}_rgb16", 16, 2, noise(6 * W * H), samples=3, e=e)
    tiff(f"{order}_cmyk16", 16, 5, noise(8 * W * H), samples=4, e=e)
    tiff(f"{order}_cmyk_x", 8, 5, noise(5 * W * H), samples=5, e=e, tags={338: (3, [0])})
    tiff(f"{order}_cmyk_alpha", 8, 5, noise(5 * W * H), samples=5, e=e, tags={338: (3, [2])})
    tiff(f"{order}_palette_x", 8, 3, noise(2 * W * H), samples=2, e=e,
         tags={338: (3, [0]), 320: (3, [random.randrange(65536) for _ in range(768)])})
    tiff(f"{order}_planes", 8, 2, noise(3 * W * H), samples=3, e=e, tags={284: (3, [2])},
         strips=([noise(W * H) for _ in range(3)], H))
    tiff(f"{order}_planes_alpha", 8, 2, noise(4 * W * H), samples=4, e=e, tags={284: (3, [2]), 338: (3, [2])},
         strips=([noise(W * H) for _ in range(4)], H))
    tiff(f"{order}_planes_x", 8, 2, noise(4 * W * H), samples=4, e=e, tags={284: (3, [2]), 338: (3, [0])},
         strips=([noise(W * H) for _ in range(4)], H))
    tiff(f"{order}_planes_cmyk", 8, 5, noise(4 * W * H), samples=4, e=e, tags={284: (3, [2])},
         strips=([noise(W * H) for _ in range(4)], H))
    tiff(f"{order}_strips", 8, 2, b"", samples=3, e=e, strips=([noise(3 * W * 4), noise(3 * W * 4), noise(3 * W)], 4))
    tiff(f"{order}_tiles", 8, 2, b"", w=20, h=18, samples=3, e=e, tags={322: (4, [16]), 323: (4, [16]), 324: (4, [0])},
         strips=([noise(3 * 256) for _ in range(4)], 16))
    tiff(f"{order}_tiles_grey4", 4, 1, b"", w=20, h=18, e=e, tags={322: (4, [16]), 323: (4, [16]), 324: (4, [0])},
         strips=([noise(128) for _ in range(4)], 16))
tiff("ii_grey12", 12, 1, noise(row_bytes(12, w=14) * H), w=14)
tiff("ii_grey12_small", 12, 1, bytes([0, 0x50, 0x7f] * 7 * H), w=14)
tiff("ii_grey32", 32, 1, struct.pack(f"<{W*H}L", *[random.choice([0, 77, 255, 256, 1 << 31]) for _ in range(W * H)]))
tiff("ii_grey16_white0", 16, 0, noise(2 * W * H))
tiff("no_photometric", 8, None, noise(W * H))
tiff("fill_order_1", 1, 1, noise(row_bytes(1) * H), tags={266: (3, [2])})
tiff("fill_order_8", 8, 1, noise(W * H), tags={266: (3, [2])})
tiff("fill_order_rgb", 8, 2, noise(3 * W * H), samples=3, tags={266: (3, [2])})
tiff("bigtiff", 8, 2, noise(3 * W * H), samples=3, big=True)
tiff("bigtiff_orient", 8, 2, noise(3 * W * H), samples=3, big=True, tags={274: (3, [6])})
tiff("one_pixel", 8, 2, b"\1\2\3", w=1, h=1, samples=3)
tiff("short", 8, 2, noise(3 * W * H - 20), samples=3)
tiff("bits_3", 3, 1, noise(W * H))
tiff("samples_7", 8, 2, noise(7 * W * H), samples=7, tags={338: (3, [0] * 4)})
tiff("compression_9", 8, 1, noise(W * H), compression=9)
tiff("width_0", 8, 1, noise(W * H), w=0)
tiff("no_height", 8, 1, noise(W * H), tags={257: None})
for o in (1, 3, 6):
    tiff(f"ycbcr_{o}", 8, 6, zlib.compress(noise(3 * W * H)), samples=3, compression=DEFLATE,
         tags={274: (3, [o]), 530: (3, [1, 1])})
tiff("ycbcr_half", 8, 6, zlib.compress(noise(6 * 7 * 5)), samples=3, compression=DEFLATE, tags={530: (3, [2, 2])})
tiff("planes_x_deflate", 8, 2, b"", samples=4, compression=DEFLATE, tags={284: (3, [2]), 338: (3, [0])},
     strips=([zlib.compress(noise(W * H)) for _ in range(4)], H))
whole = files["RGB_tiff_lzw.tif"]
for n in (8, 9, 40, len(whole) // 2, len(whole) - 150):
    files[f"cut_{n}.tif"] = whole[:n]
files["jpeg_cut.tif"] = files["RGB_jpeg.tif"][:300]


# read here, refused by Pillow
for name in ("grey8_a", "grey8_corel", "rgb16_corel", "planes_x"):
    del files[f"ii_{name}.tif"], files[f"mm_{name}.tif"]


def sha(image):
    return hashlib.sha256(image.tobytes()).hexdigest()


def row(name, data):
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        over = Image.new("RGBA", image.size, (255, 255, 255, 255))
        if image.mode == "RGB" or image.mode in ("I", "F", "I;16", "I;16B"):  # no way to RGBA
            white = image.convert("RGB")
        else:
            white = Image.alpha_composite(over, image.convert("RGBA")).convert("RGB")
        return {"file": name, "ok": True, "size": list(image.size), "rgb": sha(image.convert("RGB")), "white": sha(white)}
    except Exception as x:
        return {"file": name, "ok": False, "error": type(x).__name__}


os.makedirs(OUT, exist_ok=True)
with open(os.path.join(HERE, "..", "preprocess", "tiff.jsonl"), "w") as table:
    for name, data in sorted(files.items()):
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data)
        table.write(json.dumps(row(name, data), separators=(",", ":")) + "\n")
