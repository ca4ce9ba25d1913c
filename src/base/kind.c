/* base/kind.c: first bytes of what is found in the place of model files. */
#include "base/kind.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

typedef struct Kind {
    const char *magic;
    size_t n, at;
    const char *what;
} Kind;

#define MAGIC(text)     text, sizeof text - 1, 0
#define AS_HUGGING_FACE " (expected a Hugging Face directory with safetensors)"
#define DOWNLOAD_AGAIN  " (download it again)"
#define GGUF_WHAT       "a GGUF or GGML file of llama.cpp" AS_HUGGING_FACE
#define TORCH_WHAT      "a zip archive, as PyTorch saves its weights"
#define PICKLE_WHAT     "a Python pickle, as old PyTorch saves its weights"
#define COMPRESSED_WHAT "a compressed file (unpack it)"
#define PICTURE_WHAT    "a picture"

static const Kind KINDS[] = {
    {MAGIC("version https://git-lfs"), "a Git LFS pointer (git lfs pull fetches the file)"},
    {MAGIC("version https://hawser"), "a Git LFS pointer (git lfs pull fetches the file)"},
    {MAGIC("GGUF"), GGUF_WHAT},
    {MAGIC("lmgg"), GGUF_WHAT},
    {MAGIC("fmgg"), GGUF_WHAT},
    {MAGIC("tjgg"), GGUF_WHAT},
    {MAGIC("PK\3\4"), TORCH_WHAT},
    {MAGIC("\x80\2"), PICKLE_WHAT},
    {MAGIC("\x80\3"), PICKLE_WHAT},
    {MAGIC("\x80\4"), PICKLE_WHAT},
    {MAGIC("\x80\5"), PICKLE_WHAT},
    {MAGIC("\x89HDF\r\n"), "an HDF5 file, as TensorFlow saves its weights" AS_HUGGING_FACE},
    {MAGIC("\x93NUMPY"), "a NumPy array"},
    {MAGIC("\x1f\x8b"), COMPRESSED_WHAT},
    {MAGIC("\x28\xb5\x2f\xfd"), COMPRESSED_WHAT},
    {MAGIC("\xfd"
           "7zXZ"),
     COMPRESSED_WHAT},
    {MAGIC("7z\xbc\xaf"), COMPRESSED_WHAT},
    {"ustar", 5, 257, "a tar archive (unpack it)"},
    {MAGIC("\x89PNG"), PICTURE_WHAT},
    {MAGIC("\xff\xd8\xff"), PICTURE_WHAT},
};

/* Whether the text begins with the word, whatever its case. */
static bool begins(const char *s, size_t n, const char *word)
{
    size_t k = strlen(word);
    if (n < k)
        return false;
    for (size_t i = 0; i < k; i++)
        if (tolower((unsigned char)s[i]) != word[i])
            return false;
    return true;
}

/* Behind a byte order mark and white space. */
static bool is_html(const char *s, size_t n)
{
    size_t mark = utf8_mark(s, n);
    s += mark;
    n -= mark;
    while (n && isspace((unsigned char)*s)) {
        s++;
        n--;
    }
    return begins(s, n, "<!doctype") || begins(s, n, "<html") || begins(s, n, "<head") ||
           begins(s, n, "<?xml");
}

/* What huggingface.co answers in the place of a file. */
static bool is_refusal(const char *s, size_t n)
{
    return begins(s, n, "entry not found") || begins(s, n, "invalid username or password") ||
           begins(s, n, "access to model") || begins(s, n, "repository not found");
}

static bool is_zeros(const unsigned char *s, size_t n)
{
    enum { LOOKED_AT = 64 };
    for (size_t i = 0; i < n && i < LOOKED_AT; i++)
        if (s[i])
            return false;
    return n >= 8;
}

/* What the first bytes say; NULL: nothing. */
static const char *by_magic(const void *data, size_t size)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        const Kind *k = &KINDS[i];
        if (size >= k->at + k->n && memcmp((const char *)data + k->at, k->magic, k->n) == 0)
            return k->what;
    }
    return NULL;
}

bool file_is_torch(const void *data, size_t size)
{
    /* A safetensors file may begin with a length of the same bytes, and has a '{' behind it. */
    const char *what = size > 8 && ((const char *)data)[8] == '{' ? NULL : by_magic(data, size);
    return what && (strcmp(what, TORCH_WHAT) == 0 || strcmp(what, PICKLE_WHAT) == 0);
}

const char *file_kind(const void *data, size_t size)
{
    const char *what = by_magic(data, size);
    if (size == 0)
        return "an empty file" DOWNLOAD_AGAIN;
    if (what)
        return what;
    if (is_refusal(data, size))
        return "a text, as a server answers" DOWNLOAD_AGAIN;
    if (is_html(data, size))
        return "an HTML page, as a failed download leaves it" DOWNLOAD_AGAIN;
    if (is_zeros(data, size))
        return "zeros, as an interrupted download leaves them" DOWNLOAD_AGAIN;
    return NULL;
}
