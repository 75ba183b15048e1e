/* fuzz/reader.c - any file as documents: WARC, WET, JSONL, HTML, POD, DICT, text, through gzip and
 * zstd. */
#include <stdlib.h>
#include <string.h>

#include "corpus/reader.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct reader *r;
    struct doc d;
    struct err err;
    struct strbuf line = { 0 };
    struct js *back = NULL;
    if (reader_open(&r, fuzz_file("input", bytes, n), NULL, &err) < 0)
        return 0;
    while (reader_next(r, &d, &err) == ST_OK) {
        if (strlen(d.text) != d.n_bytes || utf8_valid(d.text, d.n_bytes) != d.n_bytes)
            abort(); /* the promise of doc.h */
        str_clear(&line);
        doc_json(&line, &d);
        if (js_parse(&back, line.s, line.n, &err) < 0)
            abort(); /* what is written can be read */
        js_free(back);
    }
    reader_close(r);
    str_release(&line);
    return 0;
}
