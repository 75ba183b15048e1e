/*
 * fuzz/tokens.c - token files: Megatron, llm.c, datatrove. Byte 0 says which; bytes 1 and 2 say how
 * much of the rest is the file with the ids, the other part is the index.
 */
#include <stdlib.h>

#include "data/tokfile.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char *const name[3][2] = { { "m.bin", "m.idx" },
                                            { "l.bin", "l.unused" },
                                            { "d.ds", "d.ds.index" } };
    struct tokfile *f;
    struct err err;
    if (n < 3)
        return 0;
    const char *const *file = name[bytes[0] % 3];
    size_t n_ids = bytes[1] | (size_t)bytes[2] << 8;
    bytes += 3, n -= 3;
    n_ids = n_ids < n ? n_ids : n;
    fuzz_file(file[1], bytes + n_ids, n - n_ids);
    if (tokfile_open(&f, fuzz_file(file[0], bytes, n_ids), -1, &err) < 0)
        return 0;
    struct strbuf line = { 0 };
    if (tokfile_verify(f, &err) < 0)
        str_adds(&line, err.msg);
    for (size_t d = 0; d < tokfile_n_docs(f) && d < 1000; d++) {
        uint64_t at, len = tokfile_doc_text(f, d, &at);
        if (at + len > tokfile_n_tok(f))
            abort();
        str_clear(&line);
        tokfile_line(f, d, NULL, &line);
    }
    str_release(&line);
    tokfile_close(f);
    return 0;
}
