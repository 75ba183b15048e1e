/* tests/gguf/main.c - the container: a small file built here, cut at every byte, and lied in. */
#include <stdint.h>

#include "base/gguf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "check.h"

/* Where the writer put what a test wants to change. */
struct built {
    struct strbuf b;
    size_t n_tensor, n_key, n_tokens, tokens_0, key_0, dim_0, n_dim_0, type_0, offset_1, align;
};

static void put(struct strbuf *b, uint64_t v, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        str_addc(b, (char)(v >> (8 * i)));
}

static void put_text(struct strbuf *b, const char *s)
{
    put(b, strlen(s), 8);
    str_adds(b, s);
}

static void put_key(struct strbuf *b, const char *key, uint32_t type)
{
    put_text(b, key);
    put(b, type, 4);
}

static void put_tensor(struct strbuf *b, const char *name, uint64_t cols, uint64_t rows,
                       uint32_t type, uint64_t offset)
{
    put_text(b, name);
    put(b, 2, 4);
    put(b, cols, 8);
    put(b, rows, 8);
    put(b, type, 4);
    put(b, offset, 8);
}

static void build(struct built *x)
{
    *x = (struct built){ 0 };
    struct strbuf *b = &x->b;
    str_adds(b, "GGUF");
    put(b, 3, 4);
    x->n_tensor = b->n;
    put(b, 2, 8);
    x->n_key = b->n;
    put(b, 6, 8);
    x->key_0 = b->n;
    put_key(b, "general.architecture", 8);
    put_text(b, "llama");
    put_key(b, "general.alignment", 4);
    x->align = b->n;
    put(b, 32, 4);
    put_key(b, "llama.rope.freq_base", 6);
    put(b, 0x47c35000, 4); /* 100000.0f */
    put_key(b, "tokens", 9);
    put(b, 8, 4);
    x->n_tokens = b->n;
    put(b, 3, 8);
    x->tokens_0 = b->n;
    put_text(b, "<|a|>");
    put_text(b, "b");
    put_text(b, "");
    put_key(b, "types", 9);
    put(b, 5, 4);
    put(b, 2, 8);
    put(b, 3, 4);
    put(b, (uint64_t)-1, 4);
    put_key(b, "flag", 7);
    put(b, 1, 1);
    x->n_dim_0 = b->n + 8 + 1;
    x->dim_0 = x->n_dim_0 + 4;
    x->type_0 = x->dim_0 + 16;
    put_tensor(b, "w", 64, 2, GGUF_Q4_1, 0); /* 80 bytes, padded to 96 */
    put_tensor(b, "norm", 3, 1, GGUF_F32, 96);
    x->offset_1 = b->n - 8;
    while (b->n % 32)
        str_addc(b, 0);
    for (int i = 0; i < 96 + 12; i++)
        str_addc(b, (char)i);
}

static enum st open_bytes(struct gguf **g, const void *bytes, size_t n, struct err *err)
{
    static char *path;
    if (!path)
        path = path_join(check_dir(), "x.gguf");
    FILE *f = fopen(path, "wb"); /* not atomic and synced: thousands of them are written */
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
    return gguf_open(g, path, err);
}

/* Reads everything that a file says it has; under AddressSanitizer this is the test. */
static uint64_t read_all(const struct gguf *g)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < gguf_n_keys(g); i++) {
        const char *key = gguf_key_at(g, i);
        sum += strlen(gguf_text(g, key, "")) + gguf_whole(g, key, 1);
        sum += gguf_real(g, key, 0) > 0;
        for (size_t k = 0; k < gguf_array_len(g, key); k++) {
            size_t n = 0;
            const char *s = gguf_array_text(g, key, k, &n);
            for (size_t j = 0; s && j < n; j++)
                sum += (unsigned char)s[j];
            sum += (uint64_t)gguf_array_whole(g, key, k, 0);
        }
    }
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        for (size_t k = 0; k < t->n_bytes; k++)
            sum += t->data[k];
    }
    return sum;
}

static void test_reads(void)
{
    struct built x;
    struct gguf *g;
    struct err err = { "" };
    build(&x);
    NEED(open_bytes(&g, x.b.s, x.b.n, &err) == ST_OK, "%s", err.msg);
    CHECK(strcmp(gguf_text(g, "general.architecture", "?"), "llama") == 0, "architecture");
    CHECK(gguf_real(g, "llama.rope.freq_base", 0) == 100000.0, "rope base");
    CHECK(gguf_whole(g, "flag", 7) == 1 && gguf_whole(g, "none", 7) == 7, "whole");
    CHECK(gguf_whole(g, "general.architecture", 7) == 7, "a text read as a number");
    CHECK(gguf_array_len(g, "tokens") == 3 && gguf_array_len(g, "flag") == 0, "lengths");
    size_t n = 99;
    const char *s = gguf_array_text(g, "tokens", 0, &n);
    CHECK(s && n == 5 && memcmp(s, "<|a|>", 5) == 0, "first token");
    CHECK(gguf_array_text(g, "tokens", 2, &n) && n == 0, "empty token");
    CHECK(!gguf_array_text(g, "tokens", 3, &n) && !gguf_array_text(g, "types", 0, &n), "beyond");
    CHECK(gguf_array_whole(g, "types", 1, 0) == -1 && gguf_array_whole(g, "types", 2, 9) == 9,
          "array of wholes");
    const struct gguf_tensor *t = gguf_tensor(g, "norm");
    NEED(t && !gguf_tensor(g, "nothing"), "tensor by name");
    CHECK(t->n_bytes == 12 && t->dim[0] == 3 && t->data[0] == 96, "tensor's place");
    CHECK(gguf_tensor(g, "w")->n_bytes == 80, "Q4_1 has 20 bytes for 32 elements");
    read_all(g);
    gguf_close(g);
    str_release(&x.b);
}

static void test_cut(void)
{
    struct built x;
    build(&x);
    for (size_t n = 0; n < x.b.n; n++) {
        struct gguf *g;
        struct err err = { "" };
        enum st st = open_bytes(&g, x.b.s, n, &err);
        NEED(st == ST_FORMAT && strstr(err.msg, "byte") && strstr(err.msg, "x.gguf"),
             "cut at %zu: st %d '%s'", n, (int)st, err.msg);
    }
    str_release(&x.b);
}

static void test_lies(void)
{
    struct built x;
    build(&x);
    const struct lie {
        size_t at;
        uint64_t v;
        int n_bytes;
        const char *says;
        enum st st;
    } lie[] = {
        { 0, 'X', 1, "does not begin with 'GGUF'", ST_FORMAT },
        { 4, 1, 4, "version 1", ST_UNSUPPORTED },
        { 4, 3 << 24, 4, "big-endian", ST_UNSUPPORTED },
        { x.n_tensor, UINT64_MAX, 8, "tensors claimed", ST_FORMAT },
        { x.n_tensor, 10000000, 8, "tensors claimed", ST_FORMAT },
        { x.n_key, UINT64_MAX, 8, "keys claimed", ST_FORMAT },
        { x.key_0, 10000000000, 8, "a key needs 10000000000 bytes", ST_FORMAT },
        { x.key_0, UINT64_MAX, 8, "a key needs", ST_FORMAT },
        { x.key_0, 0, 8, "a key of 0 bytes", ST_FORMAT },
        { x.key_0 + 28, 77, 4, "value type 77", ST_FORMAT },
        { x.align, 0, 4, "general.alignment", ST_FORMAT },
        { x.align, 33, 4, "general.alignment", ST_FORMAT },
        { x.n_tokens, 10000000000, 8, "an array of 10000000000 elements", ST_FORMAT },
        { x.n_tokens, UINT64_MAX, 8, "an array of", ST_FORMAT },
        { x.tokens_0, 10000000000, 8, "a text needs", ST_FORMAT },
        { x.n_dim_0, 0, 4, "0 dimensions", ST_FORMAT },
        { x.n_dim_0, 5, 4, "5 dimensions", ST_FORMAT },
        { x.dim_0, 0, 8, "a dimension of 0", ST_FORMAT },
        { x.dim_0, 1ull << 62, 8, "a dimension of", ST_FORMAT },
        { x.dim_0, 33, 8, "want a multiple of 32 for Q4_1", ST_FORMAT },
        { x.dim_0 + 8, 500000000, 8, "the file ends at byte", ST_FORMAT },
        { x.offset_1, 64, 8, "overlap", ST_FORMAT },
        { x.offset_1, 1, 8, "want a multiple of 32", ST_FORMAT },
        { x.offset_1, UINT64_MAX - 31, 8, "the file ends at byte", ST_FORMAT },
        { x.offset_1, 128, 8, "the file ends at byte", ST_FORMAT },
    };
    for (size_t i = 0; i < N_OF(lie); i++) {
        struct gguf *g;
        struct err err = { "" };
        char *copy = xmalloc(x.b.n);
        memcpy(copy, x.b.s, x.b.n);
        for (int k = 0; k < lie[i].n_bytes; k++)
            copy[lie[i].at + (size_t)k] = (char)(lie[i].v >> (8 * k));
        enum st st = open_bytes(&g, copy, x.b.n, &err);
        CHECK(st == lie[i].st && strstr(err.msg, lie[i].says), "lie %zu: st %d '%s', want '%s'", i,
              (int)st, err.msg, lie[i].says);
        if (st == ST_OK)
            gguf_close(g);
        free(copy);
    }
    str_release(&x.b);
}

/* Names that stand there twice would make two readers see two models. */
static void test_twice(void)
{
    struct built x;
    struct gguf *g;
    struct err err = { "" };
    build(&x);
    char *flag = memchr(x.b.s + x.tokens_0, 'f', x.b.n - x.tokens_0);
    NEED(flag && memcmp(flag, "flag", 4) == 0, "the key moved");
    struct strbuf b = { 0 };
    str_add(&b, x.b.s, (size_t)(flag - x.b.s) - 8);
    put_text(&b, "types");
    str_add(&b, flag + 4, x.b.n - (size_t)(flag + 4 - x.b.s));
    CHECK(open_bytes(&g, b.s, b.n, &err) == ST_FORMAT && strstr(err.msg, "'types' stands"), "'%s'",
          err.msg);
    str_release(&b);
    str_release(&x.b);
}

/* Random damage: whatever opens must be readable as a whole. */
static void test_damage(void)
{
    struct built x;
    struct rng rng;
    int n_open = 0;
    build(&x);
    rng_init(&rng, 1, "gguf damage", 0);
    for (int round = 0; round < 4000; round++) {
        struct gguf *g;
        struct err err = { "" };
        char *copy = xmalloc(x.b.n);
        memcpy(copy, x.b.s, x.b.n);
        for (uint64_t k = rng_below(&rng, 3) + 1; k > 0; k--)
            copy[rng_below(&rng, x.b.n)] = (char)rng_u64(&rng);
        enum st st = open_bytes(&g, copy, x.b.n - rng_below(&rng, 4), &err);
        if (st == ST_OK) {
            read_all(g);
            gguf_close(g);
            n_open++;
        }
        CHECK(st == ST_OK || (st < 0 && err.msg[0]), "round %d: st %d '%s'", round, (int)st,
              err.msg);
        free(copy);
    }
    CHECK(n_open > 0 && n_open < 4000, "%d of 4000 open", n_open);
    str_release(&x.b);
}

int main(int argc, char **argv)
{
    static const struct check_test test[] = {
        TEST(test_reads), TEST(test_cut), TEST(test_lies), TEST(test_twice), TEST(test_damage),
    };
    return check_main(test, N_OF(test), argc, argv);
}
