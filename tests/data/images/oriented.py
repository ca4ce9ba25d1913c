"""Makes oriented/: small pictures that tell their orientation in every way that Pillow sees, and in some that
it does not; and ../preprocess/oriented.jsonl: what Pillow says of them. Needs Pillow 13 and its libwebp.

    python3 oriented.py
"""
import hashlib, io, json, os, struct, warnings, zlib
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "oriented")
files = {}

base = Image.new("RGB", (5, 3))
base.putdata([(40 * x + 20, 80 * y + 10, 200 - 30 * x) for y in range(3) for x in range(5)])


def saved(image, **how):
    b = io.BytesIO()
    image.save(b, **how)
    return b.getvalue()


def entry(tag, kind, count, value, e="<"):
    return struct.pack(e + "HHL", tag, kind, count) + (value + bytes(4))[:4]


def block(*entries, e="<", head=None, extra=b""):
    head = head or (b"II*\0" if e == "<" else b"MM\0*")
    return head + struct.pack(e + "L", 8) + struct.pack(e + "H", len(entries)) + b"".join(entries) + bytes(4) + extra


def short(o, e="<"):
    return block(entry(274, 3, 1, struct.pack(e + "H", o), e), e=e)


def far(kind, data, count=1, before=()):
    """The value lies behind the directory."""
    n = len(before) + 1
    at = 8 + 2 + 12 * n + 4
    return block(*before, entry(274, kind, count, struct.pack("<L", at)), extra=data)


MAKE = entry(271, 2, 5, struct.pack("<L", 8))      # "II*..": within the block
LOST = entry(271, 2, 5, struct.pack("<L", 9999))   # beyond its end
HUGE = entry(271, 2, 999999, struct.pack("<L", 8))  # larger than the block
NONE = block(entry(271, 2, 2, b"x\0"))


def xmp(text):
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description ' + text + b"/></rdf:RDF></x:xmpmeta>"


def attribute(o):
    return xmp(b'tiff:Make="a" tiff:Orientation="%d"' % o)


def element(o):
    return xmp(b"><tiff:Orientation>%d</tiff:Orientation><a" % o)


blocks = {
    **{f"short{o}": short(o) for o in range(0, 10)},
    "short6_big": short(6, ">"),
    "long": block(entry(274, 4, 1, struct.pack("<L", 8))),
    "byte": block(entry(274, 1, 1, b"\6")),
    "text": block(entry(274, 2, 2, b"6\0")),
    "undefined": block(entry(274, 7, 1, b"\6")),
    "sbyte": block(entry(274, 6, 1, b"\6")),
    "sshort": block(entry(274, 8, 1, struct.pack("<h", 7))),
    "slong": block(entry(274, 9, 1, struct.pack("<l", -6))),
    "float": block(entry(274, 11, 1, struct.pack("<f", 5))),
    "float_part": block(entry(274, 11, 1, struct.pack("<f", 5.5))),
    "double": far(12, struct.pack("<d", 6)),
    "rational": far(5, struct.pack("<LL", 12, 2)),
    "rational_zero": far(5, struct.pack("<LL", 12, 0)),
    "srational": far(10, struct.pack("<ll", -16, -2)),
    "long8": far(16, struct.pack("<Q", 3)),
    "two": block(entry(274, 3, 2, struct.pack("<HH", 6, 3))),
    "three": far(3, struct.pack("<HHH", 8, 3, 1), 3),
    "none_first": block(entry(274, 3, 0, b"\3"), entry(274, 3, 1, b"\6")),
    "unknown_first": block(entry(274, 99, 1, b"\3"), entry(274, 3, 1, b"\6")),
    "twice": block(entry(274, 3, 1, b"\6"), entry(274, 3, 1, b"\3")),
    "after_make": block(MAKE, entry(274, 3, 1, b"\6")),
    "after_lost": block(LOST, entry(274, 3, 1, b"\6")),
    "after_huge": block(HUGE, entry(274, 3, 1, b"\6")),
    "count_long": short(6)[:8] + b"\xff\xff" + short(6)[10:],
    "cut": short(6)[:-5],
    "prefix2": b"Exif\0\0" + short(6),
    "head_mm2a": block(entry(274, 3, 1, struct.pack(">H", 6), ">"), e=">", head=b"MM*\0"),
    "head_ii2a": block(entry(274, 3, 1, b"\6"), head=b"II\0*"),
    "head_bigtiff": block(entry(274, 3, 1, b"\6"), head=b"II+\0"),
    "head_mm2b": block(entry(274, 3, 1, struct.pack(">H", 6), ">"), e=">", head=b"MM\0+"),
    "head_other": block(entry(274, 3, 1, b"\6"), head=b"IIxx"),
    "none": NONE,
    "empty": b"",
    "seven": b"II*\0\b\0\0",
    "ifd_past": b"II*\0" + struct.pack("<L", 500),
}


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


plain_jpeg = saved(base, format="JPEG", quality=95, subsampling=0)
XAP = b"http://ns.adobe.com/xap/1.0/\0"


def exif1(b):
    return segment(0xE1, b"Exif\0\0" + b)


def xmp1(b):
    return segment(0xE1, XAP + b)


def jpeg(name, *segments, at=2):
    files[f"j_{name}.jpg"] = plain_jpeg[:at] + b"".join(segments) + plain_jpeg[at:]


for k, v in blocks.items():
    jpeg("exif_" + k, exif1(v))
for k in ("none", "empty", "head_other", "seven", "short0", "short1", "short9", "byte", "after_lost", "cut"):
    jpeg("xmp_exif_" + k, exif1(blocks[k]), xmp1(attribute(6)))
jpeg("xmp_attribute", xmp1(attribute(8)))
jpeg("xmp_element", xmp1(element(5)))
jpeg("xmp_0", xmp1(attribute(0)))
jpeg("xmp_9", xmp1(attribute(9)))
jpeg("xmp_63", xmp1(xmp(b'tiff:Orientation="63"')))
jpeg("xmp_space", xmp1(xmp(b'tiff:Orientation = "6"')))
jpeg("xmp_second", xmp1(xmp(b'tiff:Orientation="" tiff:tiff:Orientation="3"')))
jpeg("xmp_twice", xmp1(attribute(6)), xmp1(attribute(3)))
jpeg("xmp_before_exif", xmp1(attribute(6)), exif1(short(3)))
jpeg("xmp_end", xmp1(b"tiff:Orientation"), )
jpeg("xmp_end2", xmp1(b'tiff:Orientation="'))
jpeg("xmp_cut_head", segment(0xE1, XAP[:-1]))
jpeg("xmp_other", segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + attribute(6)))
jpeg("joined", exif1(short(6)[:12]), exif1(short(6)[12:]))
jpeg("joined_three", exif1(short(6)[:9]), xmp1(attribute(3)), exif1(short(6)[9:14]), exif1(short(6)[14:]))
jpeg("app0", segment(0xE0, b"Exif\0\0" + short(6)))
jpeg("length_0", b"\xff\xe1\0\0" + exif1(short(6)))
jpeg("fill", b"\xff\xff\xff" + exif1(short(6)))
jpeg("fill_many", b"\xff" * 300 + exif1(short(6)), b"\xff" * 7 + xmp1(attribute(3)))
jpeg("fill_xmp", b"\xff" + xmp1(attribute(7)))
jpeg("stuffed", b"\xff\0\xff\0" + exif1(short(6)))
jpeg("comment_fill", segment(0xFE, b"a comment"), b"\xff\xff", exif1(short(8)))
jpeg("after_tables", exif1(short(6)), at=2 + 2 + struct.unpack(">H", plain_jpeg[4:6])[0])
jpeg("after_scan", exif1(short(6)), at=len(plain_jpeg) - 2)
mpo = io.BytesIO()
with_exif = Image.Exif()
with_exif[274] = 6
base.save(mpo, format="MPO", save_all=True, append_images=[base], exif=with_exif, quality=95)
files["j_mpo.jpg"] = mpo.getvalue()


def chunk(name, data, crc=None):
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data) if crc is None else crc)


plain_png = saved(base, format="PNG")
IDAT = plain_png.index(b"IDAT") - 4
IEND = plain_png.index(b"IEND") - 4


def png(name, *chunks, at=IDAT):
    files[f"p_{name}.png"] = plain_png[:at] + b"".join(chunks) + plain_png[at:]


def both(name, *chunks):
    png(name, *chunks)
    png(name + "_behind", *chunks, at=IEND)


def hexed(b, kind=b"exif"):
    h = b.hex().encode()
    lines = b"\n".join(h[i : i + 72] for i in range(0, len(h), 72))
    return b"\n" + kind + b"\n%8d\n" % len(b) + lines + b"\n"


def itxt(key, value, flag=0, method=0, language=b"", translated=b""):
    return chunk(b"iTXt", key + b"\0" + bytes([flag, method]) + language + b"\0" + translated + b"\0" + value)


def ztxt(key, value, method=0):
    return chunk(b"zTXt", key + b"\0" + bytes([method]) + value)


def text(key, value):
    return chunk(b"tEXt", key + b"\0" + value)


RAW, XML = b"Raw profile type exif", b"XML:com.adobe.xmp"
profile = hexed(b"Exif\0\0" + short(6))
both("exif", chunk(b"eXIf", short(6)))
png("exif_prefix", chunk(b"eXIf", b"Exif\0\0" + short(6)))
png("exif_byte", chunk(b"eXIf", blocks["byte"]))
png("exif_twice", chunk(b"eXIf", short(3)), chunk(b"eXIf", short(6)))
png("exif_crc_behind", chunk(b"eXIf", short(6), 1), at=IEND)
png("exif_after_end", chunk(b"eXIf", short(6)), at=len(plain_png))
png("exif_empty_xmp", chunk(b"eXIf", b""), itxt(XML, attribute(6)))
png("exif_bad_xmp", chunk(b"eXIf", b"IIxx" + bytes(20)), itxt(XML, attribute(6)))
both("raw_text", text(RAW, profile))
both("raw_ztxt", ztxt(RAW, zlib.compress(profile)))
both("raw_itxt", itxt(RAW, profile))
png("raw_itxt_packed", itxt(RAW, zlib.compress(profile), 1))
png("raw_no_prefix", text(RAW, hexed(short(8))))
png("raw_upper", text(RAW, profile.upper().replace(b"EXIF", b"exif")))
png("raw_spaces", text(RAW, profile.replace(b"0a", b"0A ").replace(b"49", b" 49")))
png("raw_odd", text(RAW, profile[:-2] + b"\n"), itxt(XML, attribute(3)))
png("raw_no_hex", text(RAW, b"\nexif\n   5\nhello\n"), itxt(XML, attribute(3)))
png("raw_two_lines", text(RAW, b"\nexif\n"), itxt(XML, attribute(3)))
png("raw_empty", text(RAW, b""), itxt(XML, attribute(3)))
png("raw_none_xmp", text(RAW, hexed(b"Exif\0\0" + NONE)), itxt(XML, attribute(7)))
png("raw_and_exif", text(RAW, profile), chunk(b"eXIf", short(3)))
png("raw_app1", text(b"Raw profile type APP1", profile))
png("raw_key_case", text(b"raw profile type exif", profile))
png("raw_last", text(RAW, hexed(short(3))), ztxt(RAW, zlib.compress(profile)))
png("raw_ztxt_cut", ztxt(RAW, zlib.compress(profile)[:-6]))
png("raw_ztxt_damaged", ztxt(RAW, b"\1\2\3\4\5"), itxt(XML, attribute(3)))
png("raw_then_ztxt_damaged", text(RAW, profile), ztxt(RAW, b"\1\2\3\4\5"))
png("raw_then_ztxt_empty", text(RAW, profile), ztxt(RAW, b""), itxt(XML, attribute(3)))
png("xmp_then_ztxt_damaged", itxt(XML, attribute(6)), ztxt(XML, b"\1\2\3\4\5"))
png("xmp_then_text_empty", itxt(XML, attribute(6)), text(XML, b""))
png("xmp_then_ztxt_empty", itxt(XML, attribute(6)), ztxt(XML, zlib.compress(b"")))
png("raw_itxt_damaged", itxt(RAW, b"\1\2\3\4\5", 1), itxt(XML, attribute(3)))
png("raw_itxt_then_damaged", itxt(RAW, profile), itxt(RAW, b"\1\2\3\4\5", 1))
png("raw_itxt_method", itxt(RAW, zlib.compress(profile), 1, 1), itxt(XML, attribute(3)))
png("raw_itxt_not_utf8", itxt(RAW, profile), itxt(RAW, hexed(short(3)).replace(b"exif", b"ex\xfff", 1)))
png("raw_itxt_language", itxt(RAW, profile, 0, 0, b"en", b"profile"))
png("text_exif", text(b"exif", short(6)))
png("text_exif_xmp", text(b"exif", NONE), itxt(XML, attribute(6)))
png("text_no_zero", chunk(b"tEXt", RAW), itxt(XML, attribute(6)))
both("xmp_itxt", itxt(XML, attribute(6)))
png("xmp_itxt_packed", itxt(XML, zlib.compress(element(8)), 1))
png("xmp_itxt_short", chunk(b"iTXt", XML + b"\0\0"))
png("xmp_itxt_no_language", chunk(b"iTXt", XML + b"\0\0\0abc"))
png("xmp_text", text(XML, attribute(6)))
png("xmp_ztxt", ztxt(XML, zlib.compress(attribute(6))))
png("xmp_not_utf8", itxt(XML, attribute(6) + b"\xff\xfe"))
png("xmp_raw_profile", text(b"Raw profile type xmp", hexed(attribute(6), b"xmp")))
png("xmp_and_exif", itxt(XML, attribute(6)), chunk(b"eXIf", short(3)))
png("xmp_and_none", itxt(XML, attribute(6)), chunk(b"eXIf", NONE))
frames = saved(base, format="PNG", save_all=True, append_images=[base.point(lambda v: 255 - v)])
files["p_frames.png"] = frames[: frames.index(b"IEND") - 4] + chunk(b"eXIf", short(6)) + frames[frames.index(b"IEND") - 4 :]
second = frames.index(b"fcTL", frames.index(b"IDAT")) - 4
files["p_frames_first.png"] = frames[:second] + chunk(b"eXIf", short(6)) + frames[second:]


def webp(name, exif=b"", xmp=b"", flags=None, image=None, **how):
    b = bytearray(saved(image or base, format="WEBP", lossless=True, exif=exif, xmp=xmp, **how))
    if flags is not None:
        b[20] = b[20] & ~0x0C | flags
    files[f"w_{name}.webp"] = bytes(b)


def riff(name, *chunks):
    """A file without the extended header, with chunks behind its picture."""
    b = saved(base, format="WEBP", lossless=True)
    tail = b"".join(n + struct.pack("<L", len(d)) + d + bytes(len(d) & 1) for n, d in chunks)
    files[f"w_{name}.webp"] = b[:4] + struct.pack("<L", len(b) - 8 + len(tail)) + b[8:] + tail


webp("exif", short(6))
webp("exif_prefix", b"Exif\0\0" + b"Exif\0\0" + short(6))
webp("exif_prefix2", 3 * b"Exif\0\0" + short(6))  # Pillow writes one less
webp("exif_prefix3", 4 * b"Exif\0\0" + short(6))
webp("exif_byte", blocks["byte"])
webp("exif_bad_xmp", b"hello, who is there?", attribute(6))
webp("exif_no_flag", short(6), attribute(8), 0x04)
webp("xmp", xmp=attribute(6))
webp("xmp_no_flag", xmp=attribute(6), flags=0)
webp("xmp_none", NONE, element(8))
webp("xmp_and_exif", short(3), element(8))
webp("frames", short(6), save_all=True, append_images=[base.point(lambda v: 255 - v)])
riff("simple", (b"EXIF", short(6)))


def sha(image):
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def row(name, data):
    """upright: after exif_transpose, or, where it raises an error, as it is stored."""
    image = Image.open(io.BytesIO(data))
    try:
        upright, refused = ImageOps.exif_transpose(image), False
    except Exception:
        upright, refused = Image.open(io.BytesIO(data)), True
    return {"file": name, "refused": refused, "size": list(upright.size), "upright": sha(upright)}


os.makedirs(OUT, exist_ok=True)
with open(os.path.join(HERE, "..", "preprocess", "oriented.jsonl"), "w") as table:
    for name, data in sorted(files.items()):
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data)
        table.write(json.dumps(row(name, data), separators=(",", ":")) + "\n")
