"""make.py LAVIS: small folders in LAVIS' layout (root/), archives of their pictures, and items.json, what LAVIS' own data set classes say of them.

LAVIS is a checkout of github.com/salesforce/LAVIS (506965b was used). Needs torch and Pillow. Annotations and pictures are
made up here; nothing is taken from a published data set.
"""
import gzip
import importlib
import io
import json
import os
import sys
import tarfile
import types
import zipfile

from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "root")


def write(place, records):
    path = os.path.join(ROOT, place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(records, f, ensure_ascii=len(place) % 2 == 0)


def picture(place, colour):
    path = os.path.join(ROOT, place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.new("RGB", (12, 8), colour).save(path, quality=60)


def coco(split, number):
    return f"{split}/COCO_{split}_{number:012d}.jpg"


def pictures():
    for i, (split, number) in enumerate([("train2014", 9), ("train2014", 25), ("val2014", 42), ("val2014", 391895),
                                         ("val2014", 60623), ("test2015", 1)]):
        picture("coco/images/" + coco(split, number), (40 * i, 90, 200 - 30 * i))
    for i, name in enumerate(["n161313", "2354786"]):
        picture(f"gqa/images/{name}.jpg", (20, 100 * i, 60))
    for i, name in enumerate(["0013ea2087020901", "0014c5e0a3f1b2d4"]):
        picture(f"nocaps/images/val/{name}.jpg", (200, 100 * i, 60))
    for i, name in enumerate([1007129816, 1009434119, 101362133]):
        picture(f"flickr30k/images/flickr30k-images/{name}.jpg", (10, 60 * i, 160))
    for i, name in enumerate([2, 713545]):
        picture(f"vg/images/VG_100K{'_2' * i}/{name}.jpg", (99, 60 * i, 160))


def captions():
    five = ["A man rides.", "a \"quoted\" caption", "naïve café 猫", "tab\tand\nline", ""]
    write("coco/annotations/coco_karpathy_train.json", [
        {"caption": "A red thing", "image": coco("train2014", 9), "image_id": "coco_9"},
        {"caption": "Another  caption of it ", "image": coco("train2014", 9), "image_id": "coco_9"},
        {"caption": "A dark thing", "image": coco("val2014", 42), "image_id": "coco_42"}])
    write("coco/annotations/coco_karpathy_val.json", [{"image": coco("val2014", 42), "caption": five[:2]}])
    write("coco/annotations/coco_karpathy_test.json", [
        {"image": coco("val2014", 391895), "caption": five}, {"image": coco("val2014", 60623), "caption": five[1:3]}])
    write("coco_gt/coco_karpathy_test_gt.json", {
        "annotations": [{"image_id": 391895, "caption": c, "id": i} for i, c in enumerate(five)] +
                       [{"image_id": 60623, "caption": c, "id": 9 + i} for i, c in enumerate(five[1:3])],
        "images": [{"id": 391895}, {"id": 60623}]})
    write("nocaps/annotations/nocaps_val.json", [
        {"image": "val/0013ea2087020901.jpg", "img_id": 0, "caption": five[:4]},
        {"image": "val/0014c5e0a3f1b2d4.jpg", "img_id": 6, "caption": five[2:4]}])
    write("flickr30k/annotations/test.json", [
        {"image": f"flickr30k-images/{n}.jpg", "caption": five[i:i + 2]} for i, n in
        enumerate([1007129816, 1009434119, 101362133])])
    write("flickr30k/annotations/train.json", [
        {"image": "flickr30k-images/1007129816.jpg", "caption": "one", "image_id": "1007129816.jpg"},
        {"image": "flickr30k-images/1007129816.jpg", "caption": "two", "image_id": "1007129816.jpg"}])
    write("vg/annotations/vg_caption.json", [
        {"image": "VG_100K/2.jpg", "caption": "a region"}, {"image": "VG_100K_2/713545.jpg", "caption": "another"}])


def zip_of(name, entries):
    """entries: name in the archive -> a file below root, or bytes."""
    with zipfile.ZipFile(os.path.join(HERE, "archives", name), "w") as z:
        for entry, file in entries.items():
            data = file if isinstance(file, bytes) else open(os.path.join(ROOT, file), "rb").read()
            z.writestr(zipfile.ZipInfo(entry, (2014, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


def tar_of(name, entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as t:
        link = tarfile.TarInfo("./flickr30k-images/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        t.addfile(link)
        for entry, file in entries.items():
            t.add(os.path.join(ROOT, file), entry, filter=lambda i: i.replace(mtime=0, uid=0, gid=0, uname="", gname="", mode=0o644))
    with gzip.GzipFile(os.path.join(HERE, "archives", name), "wb", mtime=0) as f:
        f.write(out.getvalue())


def archives():
    os.makedirs(os.path.join(HERE, "archives"), exist_ok=True)
    zip_of("val2014.zip", {"val2014/": b"", **{coco("val2014", n): "coco/images/" + coco("val2014", n)
                                                for n in (42, 391895, 60623)}})
    zip_of("images.zip", {f"images/{n}.jpg": f"gqa/images/{n}.jpg" for n in ("n161313", "2354786")})
    flickr = [f"{n}.jpg" for n in (1007129816, 1009434119, 101362133)]
    tar_of("flickr30k-images.tar.gz", {f"./flickr30k-images/{n}": f"flickr30k/images/flickr30k-images/{n}" for n in flickr})
    zip_of("archive.zip", {"flickr30k_images/results.csv": b"image_name| comment\n",
                           **{f"flickr30k_images/flickr30k_images/{n}": f"flickr30k/images/flickr30k-images/{n}"
                              for n in flickr}})
    zip_of("out.zip", {"images/../../../out.jpg": b"x"})
    zip_of("other.zip", {"pictures/a.jpg": b"x"})


def question(number, image, text, **more):
    return {"question_id": number, "question": text, "image": image, "dataset": "vqa", **more}


def questions():
    ten = ["yes"] * 3 + ["no"] * 6 + ["maybe"]
    write("coco/annotations/vqa_train.json", [
        question(9000, coco("train2014", 9), "Is it red?", answer=ten),
        question(9001, coco("train2014", 25), "What?", answer=["net", "net", "ball"])])
    write("coco/annotations/vqa_val.json", [question(42000, coco("val2014", 42), "Which?", answer=["this"] * 10)])
    write("coco/annotations/vqa_val_eval.json", [
        question(42000, coco("val2014", 42), "Which one is it?"), question(42001, coco("val2014", 42), "Where?"),
        question(391895001, coco("val2014", 391895), "How many\tare there?", answer=ten)])
    write("coco/annotations/answer_list.json", ["yes", "no", "maybe"])
    ids = [42000, 42001, 391895001]
    write("coco/annotations/v2_OpenEnded_mscoco_val2014_questions.json", {
        "questions": [{"question_id": i, "image_id": i // 1000, "question": "?"} for i in ids]})
    write("coco/annotations/v2_mscoco_val2014_annotations.json", {
        "annotations": [{"question_id": i, "image_id": i // 1000, "question_type": "what", "answer_type": "other",
                         "answers": [{"answer": a, "answer_id": k} for k, a in enumerate(ten)]} for i in ids]})
    write("coco/annotations/vqa_test.json", [question(1000, coco("test2015", 1), "Who?")])
    write("okvqa/annotations/vqa_val_eval.json", [question(4200005, coco("val2014", 42), "Which breed is it?")])
    write("okvqa/annotations/answer_list.json", ["dog"])
    write("okvqa/annotations/OpenEnded_mscoco_val2014_questions.json", {"questions": [{"question_id": 4200005}]})
    write("okvqa/annotations/mscoco_val2014_annotations.json", {
        "annotations": [{"question_id": 4200005, "question_type": "one", "answer_type": "other",
                         "answers": [{"answer": "pug", "answer_id": 1}]}]})
    write("gqa/annotations/testdev_balanced_questions.json", [
        question("201307251", "n161313.jpg", "Is it overcast?", answer="no", fullAnswer="No, it is not."),
        question("201640614", "2354786.jpg", "Who is wearing the shirt?", answer="girl")])
    write("gqa/annotations/val_balanced_questions.json", [
        question("05451384", "2354786.jpg", "What is it?", answer="pot")])
    write("gqa/annotations/test_balanced_questions.json", [question("1", "n161313.jpg", "What?")])
    write("gqa/annotations/train_balanced_questions.json", [
        question("07333408", "2354786.jpg", "What is on the wall?", answer="pipe")])


def lavis(where):
    """The packages without their __init__, which want every model's dependencies."""
    for name in ["lavis", "lavis.datasets", "lavis.datasets.datasets"]:
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(where, *name.split("."))]
        sys.modules[name] = module
    sys.modules["pandas"] = types.ModuleType("pandas")
    return lambda name: importlib.import_module("lavis.datasets.datasets." + name)


def whole(value):
    return int(value) if str(value).lstrip("-").isdigit() else value


def golden(load):
    same = lambda x: x
    cap, vqa, gqa, ret, pair = map(load, ["coco_caption_datasets", "coco_vqa_datasets", "gqa_datasets",
                                          "retrieval_datasets", "image_text_pair_datasets"])
    sets = [("coco_caption", "train", cap.COCOCapDataset, "coco/images/", ["coco/annotations/coco_karpathy_train.json"]),
            ("coco_caption", "val", cap.COCOCapEvalDataset, "coco/images/", ["coco/annotations/coco_karpathy_val.json"]),
            ("coco_caption", "test", cap.COCOCapEvalDataset, "coco/images/", ["coco/annotations/coco_karpathy_test.json"]),
            ("nocaps", "val", cap.NoCapsEvalDataset, "nocaps/images", ["nocaps/annotations/nocaps_val.json"]),
            ("coco_vqa", "train", vqa.COCOVQADataset, "coco/images/",
             ["coco/annotations/vqa_train.json", "coco/annotations/vqa_val.json"]),
            ("coco_vqa", "val", vqa.COCOVQAEvalDataset, "coco/images/",
             ["coco/annotations/vqa_val_eval.json", "coco/annotations/answer_list.json"]),
            ("coco_vqa", "test", vqa.COCOVQAEvalDataset, "coco/images/",
             ["coco/annotations/vqa_test.json", "coco/annotations/answer_list.json"]),
            ("ok_vqa", "test", vqa.COCOVQAEvalDataset, "coco/images/",
             ["okvqa/annotations/vqa_val_eval.json", "okvqa/annotations/answer_list.json"]),
            ("gqa", "train", gqa.GQADataset, "gqa/images/", ["gqa/annotations/train_balanced_questions.json"]),
            ("gqa", "val", gqa.GQAEvalDataset, "gqa/images/", ["gqa/annotations/testdev_balanced_questions.json"]),
            ("gqa/balanced_val", "val", gqa.GQAEvalDataset, "gqa/images/", ["gqa/annotations/val_balanced_questions.json"]),
            ("gqa", "test", gqa.GQAEvalDataset, "gqa/images/", ["gqa/annotations/test_balanced_questions.json"]),
            ("coco_retrieval", "test", ret.RetrievalEvalDataset, "coco/images/",
             ["coco/annotations/coco_karpathy_test.json"]),
            ("flickr30k", "test", ret.RetrievalEvalDataset, "flickr30k/images", ["flickr30k/annotations/test.json"]),
            ("flickr30k", "train", ret.RetrievalDataset, "flickr30k/images", ["flickr30k/annotations/train.json"]),
            ("vg_caption", "train", pair.ImageTextPairDataset, "vg/images/", ["vg/annotations/vg_caption.json"])]
    out = []
    for name, split, kind, images, files in sets:
        # The path that is opened stands for the picture.
        opened = []
        sys.modules[kind.__module__].Image = types.SimpleNamespace(
            open=lambda p: opened.append(p) or types.SimpleNamespace(convert=lambda mode: None))
        sys.modules["lavis.datasets.datasets.caption_datasets"].Image = sys.modules[kind.__module__].Image
        data = kind(vis_processor=same, text_processor=same, vis_root=images,
                    ann_paths=[os.path.join(ROOT, f) for f in files])
        items = []
        for i in range(len(data)):
            got = data[i]
            item = {"instance_id": data.annotation[i]["instance_id"], "image": opened[-1]}
            if kind is ret.RetrievalEvalDataset:
                item["texts"] = [data.text[t] for t in data.img2txt[i]]
            elif "image_id" in got and kind is not ret.RetrievalDataset:
                item["image_id"] = whole(got["image_id"])
            if "question" in data.annotation[i]:
                item["question"] = got["text_input"]
            elif "text_input" in got:
                item["texts"] = [got["text_input"]]
            if "question_id" in got:
                item["question_id"] = whole(got["question_id"])
            if "answers" in got:
                item["texts"], item["weights"] = got["answers"], got["weights"]
            elif got.get("answer") is not None:
                item["texts"], item["weights"] = [got["answer"]], [1]
            items.append(item)
        out.append({"set": name, "split": split, "items": items})
    return out


if __name__ == "__main__":
    pictures()
    captions()
    questions()
    archives()
    with open(os.path.join(HERE, "items.json"), "w") as f:
        json.dump(golden(lavis(sys.argv[1])), f, indent=1)
        f.write("\n")
