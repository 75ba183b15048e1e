/* bench/tokenize.c - training and encoding speed on texts in memory, as JSON lines; see
 * tokenize.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "data/documents.h"
#include "tok/tok.h"

struct texts {
    struct strbuf all;
    size_t *begin, n, cap; /* [n + 1] */
    const struct tok *tok;
    uint64_t *n_tok; /* [n] */
};

static void encode_one(void *job, size_t item, int thread)
{
    (void)thread;
    struct texts *t = job;
    size_t n = t->begin[item + 1] - t->begin[item];
    uint32_t *ids = xmalloc((tok_room(t->tok, n) + 1) * sizeof *ids);
    t->n_tok[item] = n ? tok_encode(t->tok, t->all.s + t->begin[item], n, ids) : 0;
    free(ids);
}

static enum st read_texts(struct texts *t, size_t max_bytes, char **input, size_t n_input,
                          struct err *err)
{
    struct documents *docs;
    struct doc doc;
    enum st st = documents_open(&docs, input, n_input, false, err);
    GROW(t->begin, t->n, t->cap);
    t->begin[0] = 0;
    while (st == ST_OK && t->all.n < max_bytes && (st = documents_next(docs, &doc, err)) == ST_OK) {
        str_add(&t->all, doc.text, doc.n_bytes);
        t->n++;
        GROW(t->begin, t->n, t->cap);
        t->begin[t->n] = t->all.n;
    }
    documents_close(docs);
    return st < 0 ? st : ST_OK;
}

static enum st train(struct texts *t, int vocab_size, struct tok **tok, struct err *err)
{
    double start = clock_s();
    struct tok_trainer *tr = tok_trainer_new();
    for (size_t i = 0; i < t->n; i++)
        tok_trainer_add(tr, t->all.s + t->begin[i], t->begin[i + 1] - t->begin[i]);
    enum st st = tok_trainer_finish(tr, vocab_size, tok, err);
    double wall_s = clock_s() - start;
    tok_trainer_free(tr);
    if (st == ST_OK)
        printf("{\"peer\":\"mixlaw\",\"what\":\"train BPE %d on %.0f MB\",\"value\":%.4g,\"unit\":"
               "\"s\",\"threads\":1}\n",
               vocab_size, (double)t->all.n / 1e6, wall_s);
    return st;
}

static void encode(struct texts *t, int n_threads)
{
    struct pool *p = pool_new(n_threads);
    double best = 1e9;
    for (int i = 0; i < 4; i++) { /* the first call meets each word for the first time */
        double start = clock_s();
        pool_run(p, t->n, encode_one, t);
        double took = clock_s() - start;
        best = took < best ? took : best;
        if (i == 0)
            printf("{\"peer\":\"mixlaw\",\"what\":\"encode, vocabulary %d, cold\",\"value\":%.4g,"
                   "\"unit\":\"MB/s\",\"threads\":%d}\n",
                   tok_vocab_size(t->tok), (double)t->all.n / 1e6 / took, n_threads);
    }
    uint64_t n_tok = 0;
    for (size_t i = 0; i < t->n; i++)
        n_tok += t->n_tok[i];
    printf("{\"peer\":\"mixlaw\",\"what\":\"encode, vocabulary %d\",\"value\":%.4g,\"unit\":"
           "\"MB/s\",\"threads\":%d,\"tokens\":%llu}\n",
           tok_vocab_size(t->tok), (double)t->all.n / 1e6 / best, n_threads,
           (unsigned long long)n_tok);
    pool_free(p);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: tokenize_bench MEGABYTES VOCAB_SIZE OUT.json INPUT...\n");
        return 2;
    }
    struct texts t = { 0 };
    struct tok *tok = NULL;
    struct err err = { "" };
    size_t max_bytes = (size_t)atol(argv[1]) * 1000000;
    enum st st = read_texts(&t, max_bytes, argv + 4, (size_t)argc - 4, &err);
    t.n_tok = NEW_ARRAY(uint64_t, t.n + 1);
    if (st == ST_OK)
        st = train(&t, atoi(argv[2]), &tok, &err);
    if (st == ST_OK)
        st = tok_save(tok, argv[3], &err);
    t.tok = tok;
    for (int n = 1; st == ST_OK && n <= 2; n++)
        encode(&t, n);
    if (st < 0)
        fprintf(stderr, "%s\n", err.msg);
    tok_free(tok);
    str_release(&t.all);
    free(t.begin);
    free(t.n_tok);
    return st_exit(st);
}
