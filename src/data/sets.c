/* data/sets.c: the table. Names, places and addresses of annotations are those of LAVIS' lavis/configs/datasets, archives those
 * of its download scripts; bytes and SHA-256 of COCO's archives those that TensorFlow Datasets publishes. */
#include "data/sets.h"

#define STORE   "https://storage.googleapis.com/sfr-vision-language-research/datasets/"
#define STORE2  "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/datasets/"
#define COCO    "http://images.cocodataset.org/zips/"
#define UNKNOWN (-1), NULL

/* --- pictures --------------------------------------------------------------------------------------- */

static const char coco_page[] = "https://cocodataset.org/#download";

static const DataPictures coco_train2014 = {
    DATA_ARCHIVE,         "train2014.zip",
    COCO "train2014.zip", coco_page,
    13510573713,          "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
    "train2014/",         "train2014/"};
static const DataPictures coco_val2014 = {
    DATA_ARCHIVE, "val2014.zip", COCO "val2014.zip",
    coco_page,    6645013297,    "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
    "val2014/",   "val2014/"};
static const DataPictures coco_test2015 = {
    DATA_ARCHIVE,        "test2015.zip",
    COCO "test2015.zip", coco_page,
    13270587935,         "1a2aa896b81140a850a78fa8bff07d455698d2abf364ff05721763458a8101ca",
    "test2015/",         "test2015/"};
static const DataPictures gqa_pictures = {
    DATA_ARCHIVE,
    "images.zip",
    "https://downloads.cs.stanford.edu/nlp/data/gqa/images.zip",
    "https://cs.stanford.edu/people/dorarad/gqa/download.html",
    UNKNOWN,
    "",
    "images/"};
static const DataPictures flickr_pictures = {
    DATA_ARCHIVE,
    "flickr30k-images.tar.gz",
    NULL,
    "https://shannon.cs.illinois.edu/DenotationGraph/ (a form) or "
    "https://www.kaggle.com/datasets/hsankesara/flickr-image-dataset (an account)",
    UNKNOWN,
    "flickr30k-images/",
    "flickr30k-images/"};
static const DataPictures flickr_kaggle = {
    DATA_ARCHIVE,
    "archive.zip",
    NULL,
    "https://www.kaggle.com/datasets/hsankesara/flickr-image-dataset (an account)",
    UNKNOWN,
    "flickr30k-images/",
    "flickr30k_images/flickr30k_images/"};
static const DataPictures nocaps_pictures = {
    DATA_SINGLE, "", "https://s3.amazonaws.com/nocaps/", "https://nocaps.org/download", UNKNOWN,
    "",          ""};
static const DataPictures genome_1 = {
    DATA_ARCHIVE,
    "images.zip",
    "https://cs.stanford.edu/people/rak248/VG_100K_2/images.zip",
    "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html",
    UNKNOWN,
    "VG_100K/",
    "VG_100K/"};
static const DataPictures genome_2 = {
    DATA_ARCHIVE,
    "images2.zip",
    "https://cs.stanford.edu/people/rak248/VG_100K_2/images2.zip",
    "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html",
    UNKNOWN,
    "VG_100K_2/",
    "VG_100K_2/"};

/* --- files that several sets have --------------------------------------------------------------------- */

#define KARPATHY(split, md5)                                           \
    {                                                                  \
        DATA_RECORDS, "coco/annotations/coco_karpathy_" split ".json", \
            STORE "coco_karpathy_" split ".json", -1, md5              \
    }
#define KARPATHY_TRAIN KARPATHY("train", "aa31ac474cf6250ebb81d18348a07ed8")
#define KARPATHY_VAL   KARPATHY("val", "b273847456ef5580e33713b1f7de52a0")
#define KARPATHY_TEST  KARPATHY("test", "3ff34b0ef2db02d01c37399f6a2a6cd1")
#define KARPATHY_TRUTH(split)                                       \
    {                                                               \
        DATA_COCO_TRUTH, "coco_gt/coco_karpathy_" split "_gt.json", \
            STORE "coco_karpathy_" split "_gt.json", UNKNOWN        \
    }
/* In the folder of the set, from STORE2 and another folder. */
#define STORED(role, folder, file, from)                        \
    {                                                           \
        role, folder "/annotations/" file, STORE2 from, UNKNOWN \
    }
#define VQA(role, file) STORED(role, "coco", file, "vqav2/" file)
#define GQA(file)       STORED(DATA_RECORDS, "gqa", file, "gqa/" file)
#define FLICKR(split)                                                                           \
    {                                                                                           \
        DATA_RECORDS, "flickr30k/annotations/" split ".json", STORE "flickr30k_" split ".json", \
            UNKNOWN                                                                             \
    }
#define NOCAPS(split)                                                                            \
    {                                                                                            \
        DATA_RECORDS, "nocaps/annotations/nocaps_" split ".json", STORE "nocaps_" split ".json", \
            UNKNOWN                                                                              \
    }
#define SCENES(role, file)                              \
    {                                                   \
        role, "scenes/annotations/" file, NULL, UNKNOWN \
    }

#define COCO_PICTURES                  \
    {                                  \
        &coco_train2014, &coco_val2014 \
    }
#define COCO_LICENCE "annotations CC BY 4.0; pictures under Flickr's terms of use"

/* --- the sets ------------------------------------------------------------------------------------------- */

static const DataSet sets[] = {
    {.name = "coco_caption",
     .also = {"coco"},
     .what = "captions of COCO, Karpathy's splits",
     .licence = COCO_LICENCE,
     .page = coco_page,
     .images = "coco/images",
     .download = "coco/download",
     .split = {{"train", DATA_PAIRS, "image_id", .repeats = true, .file = {KARPATHY_TRAIN},
                .pictures = COCO_PICTURES},
               {"val", DATA_CAPTIONS, .file = {KARPATHY_VAL, KARPATHY_TRUTH("val")},
                .pictures = {&coco_val2014}},
               {"test", DATA_CAPTIONS, .file = {KARPATHY_TEST, KARPATHY_TRUTH("test")},
                .pictures = {&coco_val2014}}}},
    {.name = "nocaps",
     .what = "captions of objects that COCO does not have",
     .licence = "see https://nocaps.org; pictures of Open Images, listed there as CC BY 2.0",
     .page = "https://nocaps.org",
     .images = "nocaps/images",
     .download = "nocaps/download",
     .split = {{"val", DATA_CAPTIONS, "img_id", .file = {NOCAPS("val")},
                .pictures = {&nocaps_pictures}},
               {"test", DATA_CAPTIONS, "img_id", .texts_missing = true, .file = {NOCAPS("test")},
                .pictures = {&nocaps_pictures}}}},
    {.name = "coco_vqa",
     .also = {"vqav2"},
     .type_also = "eval",
     .what = "questions about COCO's pictures, VQA v2",
     .licence = COCO_LICENCE,
     .page = "https://visualqa.org/download.html",
     .images = "coco/images",
     .download = "coco/download",
     .split = {{"train", DATA_QUESTIONS, .repeats = true,
                .file = {VQA(DATA_RECORDS, "vqa_train.json"), VQA(DATA_RECORDS, "vqa_val.json")},
                .pictures = COCO_PICTURES},
               {"val", DATA_QUESTIONS, .texts_missing = true,
                .file = {VQA(DATA_RECORDS, "vqa_val_eval.json"),
                         VQA(DATA_ANSWERS, "answer_list.json"),
                         VQA(DATA_VQA_ASKED, "v2_OpenEnded_mscoco_val2014_questions.json"),
                         VQA(DATA_VQA_TRUTH, "v2_mscoco_val2014_annotations.json")},
                .pictures = {&coco_val2014}},
               {"test", DATA_QUESTIONS, .texts_missing = true,
                .file = {VQA(DATA_RECORDS, "vqa_test.json"), VQA(DATA_ANSWERS, "answer_list.json")},
                .pictures = {&coco_test2015}}}},
    {.name = "ok_vqa",
     .also = {"okvqa"},
     .what = "questions about COCO's pictures that need outside knowledge",
     .licence = "see https://okvqa.allenai.org; pictures under Flickr's terms of use",
     .page = "https://okvqa.allenai.org/download.html",
     .images = "coco/images",
     .download = "coco/download",
     .split =
         {{"train", DATA_QUESTIONS, .repeats = true,
           .file = {STORED(DATA_RECORDS, "okvqa", "okvqa_train.json", "okvqa/okvqa_train.json")},
           .pictures = COCO_PICTURES},
          {"test", DATA_QUESTIONS, .texts_missing = true,
           .file = {STORED(DATA_RECORDS, "okvqa", "vqa_val_eval.json", "okvqa/okvqa_val_eval.json"),
                    STORED(DATA_ANSWERS, "okvqa", "answer_list.json",
                           "okvqa/okvqa_answer_list_train.json"),
                    STORED(DATA_VQA_ASKED, "okvqa", "OpenEnded_mscoco_val2014_questions.json",
                           "okvqa/OpenEnded_mscoco_val2014_questions.json"),
                    STORED(DATA_VQA_TRUTH, "okvqa", "mscoco_val2014_annotations.json",
                           "okvqa/mscoco_val2014_annotations.json")},
           .pictures = {&coco_val2014}}}},
    {.name = "gqa",
     .type = "balanced_testdev",
     .what = "compositional questions; val is testdev_balanced",
     .licence = "CC BY 4.0; pictures of Visual Genome",
     .page = "https://cs.stanford.edu/people/dorarad/gqa/download.html",
     .images = "gqa/images",
     .download = "gqa/download",
     .split = {{"train", DATA_QUESTIONS, .repeats = true,
                .file = {GQA("train_balanced_questions.json")}, .pictures = {&gqa_pictures}},
               {"val", DATA_QUESTIONS, .file = {GQA("testdev_balanced_questions.json")},
                .pictures = {&gqa_pictures}},
               {"test", DATA_QUESTIONS, .texts_missing = true,
                .file = {GQA("test_balanced_questions.json")}, .pictures = {&gqa_pictures}}}},
    {.name = "gqa",
     .type = "balanced_val",
     .what = "compositional questions; val is val_balanced",
     .licence = "CC BY 4.0; pictures of Visual Genome",
     .page = "https://cs.stanford.edu/people/dorarad/gqa/download.html",
     .images = "gqa/images",
     .download = "gqa/download",
     .split = {{"train", DATA_QUESTIONS, .repeats = true,
                .file = {GQA("train_balanced_questions.json")}, .pictures = {&gqa_pictures}},
               {"val", DATA_QUESTIONS, .file = {GQA("val_balanced_questions.json")},
                .pictures = {&gqa_pictures}},
               {"test", DATA_QUESTIONS, .texts_missing = true,
                .file = {GQA("test_balanced_questions.json")}, .pictures = {&gqa_pictures}}}},
    {.name = "coco_retrieval",
     .what = "COCO's captions for retrieval, Karpathy's splits: 5,000 pictures in test",
     .licence = COCO_LICENCE,
     .page = coco_page,
     .images = "coco/images",
     .download = "coco/download",
     .split = {{"train", DATA_PAIRS, "image_id", .repeats = true, .file = {KARPATHY_TRAIN},
                .pictures = COCO_PICTURES},
               {"val", DATA_CAPTIONS, .numbered = true, .file = {KARPATHY_VAL},
                .pictures = {&coco_val2014}},
               {"test", DATA_CAPTIONS, .numbered = true, .file = {KARPATHY_TEST},
                .pictures = {&coco_val2014}}}},
    {.name = "flickr30k",
     .also = {"flickr", "flickr30k_retrieval"},
     .what = "Flickr30k's captions for retrieval: 1,000 pictures in test",
     .licence = "research and education, under Flickr's terms of use",
     .page = "https://shannon.cs.illinois.edu/DenotationGraph/",
     .images = "flickr30k/images",
     .download = "flickr30k/download",
     .split = {{"train", DATA_PAIRS, "image_id", .repeats = true, .file = {FLICKR("train")},
                .pictures = {&flickr_pictures, &flickr_kaggle}},
               {"val", DATA_CAPTIONS, .numbered = true, .file = {FLICKR("val")},
                .pictures = {&flickr_pictures, &flickr_kaggle}},
               {"test", DATA_CAPTIONS, .numbered = true, .file = {FLICKR("test")},
                .pictures = {&flickr_pictures, &flickr_kaggle}}}},
    {.name = "vg_caption",
     .what = "descriptions of regions of Visual Genome's pictures, for training",
     .licence = "CC BY 4.0",
     .page = "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html",
     .images = "vg/images",
     .download = "vg/download",
     .split = {{"train", DATA_PAIRS, .repeats = true,
                .file = {STORED(DATA_RECORDS, "vg", "vg_caption.json",
                                "visual_genome/vg_caption.json")},
                .pictures = {&genome_1, &genome_2}}}},
    {.name = "scenes_caption",
     .also = {"scenes"},
     .what = "captions of the embedded model's world, small pictures composed of emoji",
     .licence = "that of the program; pictures drawn with Noto Color Emoji (SIL OFL 1.1)",
     .images = "scenes/images",
     .split = {{"test", DATA_CAPTIONS, "img_id",
                .file = {SCENES(DATA_RECORDS, "scenes_test.json"),
                         SCENES(DATA_COCO_TRUTH, "scenes_test_gt.json")}}}},
    {.name = "scenes_vqa",
     .what = "questions about them",
     .licence = "that of the program; pictures drawn with Noto Color Emoji (SIL OFL 1.1)",
     .images = "scenes/images",
     .split = {{"test", DATA_QUESTIONS,
                .file = {SCENES(DATA_RECORDS, "vqa_test.json"),
                         SCENES(DATA_ANSWERS, "answer_list.json"),
                         SCENES(DATA_VQA_ASKED, "vqa_test_questions.json"),
                         SCENES(DATA_VQA_TRUTH, "vqa_test_annotations.json")}}}},
    {.name = "scenes_gqa",
     .what = "the same questions in GQA's form",
     .licence = "that of the program; pictures drawn with Noto Color Emoji (SIL OFL 1.1)",
     .images = "scenes/images",
     .split = {{"test", DATA_QUESTIONS, .file = {SCENES(DATA_RECORDS, "gqa_test.json")}}}},
    {.name = "scenes_retrieval",
     .what = "their captions for retrieval",
     .licence = "that of the program; pictures drawn with Noto Color Emoji (SIL OFL 1.1)",
     .images = "scenes/images",
     .split = {{"test", DATA_CAPTIONS, .numbered = true,
                .file = {SCENES(DATA_RECORDS, "retrieval_test.json")}}}},
};

const DataSet *data_set_at(size_t i)
{
    return i < sizeof sets / sizeof *sets ? &sets[i] : NULL;
}
