/* synth/item.c - see item.h. */
#include "synth/item.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "synth/generator.h"

static char *render(const struct recipe *r, const struct recipe_slots *slots, const char *text,
                    struct arena *a)
{
    struct strbuf b = { 0 };
    if (!text)
        return NULL;
    recipe_render(r, slots, text, &b);
    while (b.n && b.s[b.n - 1] == '\n') /* YAML's block texts end in one */
        b.s[--b.n] = '\0';
    char *out = arena_strndup(a, b.s ? b.s : "", b.n);
    str_release(&b);
    return out;
}

static int draw_prompt(const struct recipe *r, struct rng *rng)
{
    double sum = 0, at = rng_uniform(rng);
    for (size_t i = 0; i < r->n_prompt; i++)
        sum += r->prompt[i].weight;
    for (size_t i = 0; i < r->n_prompt; i++) {
        at -= r->prompt[i].weight / sum;
        if (at < 0)
            return (int)i;
    }
    return (int)r->n_prompt - 1;
}

/* Everything the answer follows from; version 1 of what that is. */
static struct digest request_key(const struct item *it, struct digest model, uint64_t seed)
{
    struct hasher *h = hasher_new();
    const struct sampling *s = &it->sampling;
    const double real[] = { s->temperature, s->top_p, s->min_p, s->repetition_penalty };
    hasher_text(h, "mixlaw request 1");
    hasher_text(h, it->source);
    hasher_text(h, it->system);
    hasher_text(h, it->user);
    hasher_text(h, it->prefill);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        hasher_whole(h, (uint64_t)llround(real[i] * 1e9));
    hasher_whole(h, (uint64_t)s->top_k);
    hasher_whole(h, (uint64_t)s->max_tok);
    hasher_whole(h, (uint64_t)s->n_stop);
    for (int i = 0; i < s->n_stop; i++)
        hasher_text(h, s->stop[i]);
    hasher_whole(h, model.hi);
    hasher_whole(h, model.lo);
    hasher_whole(h, seed);
    struct digest d = hasher_digest(h);
    hasher_free(h);
    return d;
}

static void ask(struct item *it, const struct recipe *r, const struct piece *p, struct digest model,
                uint64_t seed, struct arena *a)
{
    struct rng rng;
    const char **value = ARENA_ARRAY(a, const char *, r->n_vary + 1);
    rng_init(&rng, seed, r->name, hash64(it->source, it->n_source, 0));
    it->variant = draw_prompt(r, &rng);
    for (size_t i = 0; i < r->n_vary; i++)
        value[i] = r->vary[i].value.s[rng_below(&rng, r->vary[i].value.n)];
    const struct recipe_prompt *prompt = &r->prompt[it->variant];
    struct recipe_slots slots = { it->source, it->keywords, p->n_words, value };
    it->system = render(r, &slots, prompt->system, a);
    it->user = render(r, &slots, prompt->user, a);
    it->prefill = render(r, &slots, prompt->prefill, a);
    struct recipe_slots bare = { "", "", p->n_words, value };
    char *system = render(r, &bare, prompt->system, a), *user = render(r, &bare, prompt->user, a);
    it->frame = arena_printf(a, "%s\n%s", system ? system : "", user);

    const struct recipe_sampling *s = &r->sampling;
    uint64_t max_tok = s->max_tok;
    if (s->tok_per_word > 0) {
        uint64_t scaled = (uint64_t)ceil(s->tok_per_word * (double)p->n_words) + 16;
        max_tok = scaled < max_tok ? scaled : max_tok;
    }
    it->sampling = (struct sampling){ .temperature = s->temperature,
                                      .top_p = s->top_p,
                                      .top_k = (int)s->top_k,
                                      .min_p = s->min_p,
                                      .repetition_penalty = s->repetition_penalty,
                                      .max_tok = (int)max_tok,
                                      .stop = s->stop.s,
                                      .n_stop = (int)s->stop.n };
    it->prompt = prompt_text_digest(it->system, it->user, it->prefill);
    it->key = request_key(it, model, seed);
    it->sampling.seed = (it->key.lo ^ seed) & 0x7fffffff; /* servers take 31 bits */
}

void item_make(struct item *it, const struct recipe *r, const struct page *page, size_t piece,
               const struct keywords *k, struct digest model, uint64_t seed, struct arena *a)
{
    const struct piece *p = &page->piece[piece];
    struct strbuf words = { 0 };
    *it = (struct item){ .doc = page->doc, .piece = p->index, .variant = -1 };
    it->source = arena_strndup(a, p->s, p->n_bytes);
    it->n_source = p->n_bytes;
    if (k)
        keywords_pick(k, page->doc->text, page->doc->n_bytes, r->input.keywords, &words, a);
    it->keywords = arena_strdup(a, words.s ? words.s : "");
    str_release(&words);
    if (strcmp(r->input.unit, "keywords") ==
        0) { /* the generator sees no text: nothing to copy or lose */
        it->source = it->keywords;
        it->n_source = strlen(it->keywords);
    }
    if (recipe_needs_generator(r))
        ask(it, r, p, model, seed, a);
}
