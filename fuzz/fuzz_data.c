/* Arbitrary bytes as the annotation of a data set: the first byte says of which form, and a byte 0xff ends a file and begins the
 * next one. What is accepted has records with all that their form promises, what is not one line of error. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "data/reader.h"

enum { FILES = 3 };

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void as_file(int *fd, char path[32], const unsigned char *data, size_t n)
{
    if (*fd <= 0)
        *fd = memfd_create("fuzz", 0);
    if (*fd <= 0 || ftruncate(*fd, 0) != 0 || pwrite(*fd, data, n, 0) != (ssize_t)n)
        BUG("no memory for a file");
    snprintf(path, 32, "/proc/self/fd/%d", *fd);
}

static void check_text(const char *text)
{
    if (!text || utf8_invalid(text, strlen(text)) >= 0)
        BUG("no text");
}

static void check_item(const DataSource *s, const DataItem *item)
{
    double sum = 0;
    check_text(item->image);
    if (strncmp(item->image, "pictures/", 9) != 0 || strstr(item->image, "/../"))
        BUG("a picture elsewhere");
    if (s->form == DATA_QUESTIONS) {
        check_text(item->question);
        check_text(item->question_id);
    } else if (!s->numbered) {
        check_text(item->image_id);
    }
    if (item->text_count == 0 && !s->texts_missing)
        BUG("no texts");
    for (size_t i = 0; i < item->text_count; i++) {
        check_text(item->texts[i].text);
        sum += item->texts[i].weight;
    }
    if (s->form == DATA_QUESTIONS && item->text_count && (sum < 0.999 || sum > 1.001))
        BUG("shares that are no whole");
}

/* All records, in two parts. */
static void read_all(const DataSource *s, size_t count)
{
    size_t read = 0;
    for (size_t part = 0; part < 2; part++) {
        Error e = {0};
        DataReader *r = data_open(s, (DataShard){part, 2}, &e);
        if (!r)
            BUG("opened once, not twice");
        for (DataItem *item; (item = data_next(r, &e)); data_item_free(item)) {
            if (item->index != read++)
                BUG("out of order");
            check_item(s, item);
        }
        if (e.code)
            BUG("a record that was good before");
        data_close(r);
    }
    if (read != count)
        BUG("parts that are not the whole");
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static int fd[FILES];
    char path[FILES][32];
    Error e = {0};
    if (size == 0)
        return 0;
    DataSource s = {
        .name = "fuzz", .split = "test", .images = "pictures", .form = (data[0] & 3) % 3};
    s.id_key = data[0] & 4 ? "img_id" : NULL;
    s.numbered = data[0] & 8;
    s.texts_missing = data[0] & 16;
    s.repeats = data[0] & 32;
    data++, size--;
    while (s.record_files < FILES) {
        const unsigned char *gap = memchr(data, 0xff, size);
        size_t n = gap ? (size_t)(gap - data) : size;
        as_file(&fd[s.record_files], path[s.record_files], data, n);
        s.records[s.record_files] = path[s.record_files];
        s.record_files++;
        if (!gap)
            break;
        data = gap + 1;
        size -= n + 1;
    }
    DataReader *r = data_open(&s, (DataShard){0, 1}, &e);
    if ((r != NULL) != (e.code == ERR_NONE) || (!r && strpbrk(e.message, "\n\r\x1b")))
        BUG("no error, one that is not one, or one of several lines");
    size_t count = r ? data_count(r) : 0;
    data_close(r);
    if (r)
        read_all(&s, count);
    return 0;
}
