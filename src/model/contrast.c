/* model/contrast.c - the weaker model of contrastive decoding (see generate.h): opened and compared
 * with the first. Its forward pass is in step() of generate.c, its part of the sampling in
 * sample.c. */
#include <stdlib.h>
#include <string.h>

#include "model/gen.h"
#include "model/weights.h"

/* Ids mean the same text in both. How text is cut into them may differ: only the first model's
 * tokenizer does that. */
static enum st same_vocabulary(const struct tok *a, const struct tok *b, const char *path,
                               struct err *err)
{
    int n = tok_vocab_size(a);
    if (tok_vocab_size(b) != n)
        return err_set(err, ST_USAGE,
                       "amateur '%s': want the vocabulary of the first model; it has %d tokens, "
                       "this %d",
                       path, n, tok_vocab_size(b));
    for (int i = 0; i < n; i++) {
        size_t n_a = 0, n_b = 0;
        const char *x = tok_spelling(a, (uint32_t)i, &n_a), *y = tok_spelling(b, (uint32_t)i, &n_b);
        if (!x != !y || n_a != n_b || (x && memcmp(x, y, n_a) != 0))
            return err_set(err, ST_USAGE,
                           "amateur '%s': want the vocabulary of the first model; token %d is "
                           "another one",
                           path, i);
    }
    return ST_OK;
}

enum st gen_open_amateur(struct gen *g, const char *path, struct err *err)
{
    struct tok *t = NULL;
    char *place = weights_place(path);
    enum st st = weights_open(&g->amateur_w, place, err);
    if (st == ST_OK)
        st = tok_open(&t, place, err);
    if (st == ST_OK)
        st = same_vocabulary(g->tok, t, path, err);
    if (st == ST_OK && g->n_vocab > g->amateur_w->conf.vocab_size)
        st = err_set(err, ST_FORMAT, "'%s': the tokenizer has %d tokens, the model %d", place,
                     g->n_vocab, g->amateur_w->conf.vocab_size);
    tok_free(t);
    free(place);
    return st;
}
