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

/* By weight, of those that are not stopped (NULL: none is); -1 when none is left. */
static int draw_prompt(const struct recipe *r, const bool *stopped, struct rng *rng)
{
    double sum = 0, at = rng_uniform(rng);
    int drawn = -1;
    for (size_t i = 0; i < r->n_prompt; i++)
        sum += stopped && stopped[i] ? 0 : r->prompt[i].weight;
    for (size_t i = 0; i < r->n_prompt; i++) {
        if (stopped && stopped[i])
            continue;
        drawn = (int)i;
        at -= r->prompt[i].weight / sum;
        if (at < 0)
            break;
    }
    return drawn;
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
    if (it->raw)
        hasher_text(h, "raw");
    if (it->edit_above > 0) {
        hasher_text(h, "edit");
        hasher_whole(h, (uint64_t)llround(it->edit_above * 1e9));
    }
    if (s->contrast_lambda > 0) {
        hasher_text(h, "contrast");
        hasher_whole(h, (uint64_t)llround(s->contrast_lambda * 1e9));
        hasher_whole(h, (uint64_t)llround(s->contrast_alpha * 1e9));
    }
    hasher_whole(h, model.hi);
    hasher_whole(h, model.lo);
    hasher_whole(h, seed);
    struct digest d = hasher_digest(h);
    hasher_free(h);
    return d;
}

/* variant: the prompt, or -1: one is drawn. */
static void ask(struct item *it, const struct recipe *r, const struct piece *p, int variant,
                struct digest model, uint64_t seed, struct arena *a)
{
    struct rng rng;
    const char **value = ARENA_ARRAY(a, const char *, r->n_vary + 1);
    rng_init(&rng, seed, r->name, hash64(it->source, it->n_source, (uint64_t)(variant + 1)));
    it->variant = variant < 0 ? draw_prompt(r, NULL, &rng) : variant;
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
    it->raw = prompt->raw != NULL;
    it->edit_above = r->edits ? r->edit_above : 0;

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
                                      .contrast_lambda = s->contrast_lambda,
                                      .contrast_alpha = s->contrast_alpha,
                                      .max_tok = (int)max_tok,
                                      .stop = s->stop.s,
                                      .n_stop = (int)s->stop.n };
    it->prompt = prompt_text_digest(it->system, it->user, it->prefill);
    it->key = request_key(it, model, seed);
    it->sampling.seed = (it->key.lo ^ seed) & 0x7fffffff; /* servers take 31 bits */
}

size_t item_n(const struct recipe *r, const struct page *page)
{
    return page->n_piece * (recipe_asks_all(r) && r->n_prompt ? r->n_prompt : 1);
}

size_t item_piece(const struct page *page, size_t i)
{
    return i % page->n_piece;
}

void item_make(struct item *it, const struct recipe *r, const struct page *page, size_t i,
               const struct keywords *k, struct digest model, uint64_t seed, struct arena *a)
{
    const struct piece *p = &page->piece[item_piece(page, i)];
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
        ask(it, r, p, recipe_asks_all(r) ? (int)(i / page->n_piece) : -1, model, seed, a);
}

struct gen_request item_request(const struct item *it, uint64_t tag)
{
    return (struct gen_request){ .system = it->system,
                                 .user = it->raw ? NULL : it->user,
                                 .raw = it->raw ? it->user : NULL,
                                 .raw_is_plain = true,
                                 .prefill = it->prefill,
                                 .edit_above = it->edit_above,
                                 .sampling = it->sampling,
                                 .key = it->key,
                                 .tag = tag };
}

struct answer item_answer(const struct item *it, enum finish finish, const char *raw, size_t n_raw)
{
    return (struct answer){ .raw = raw,
                            .n_raw = n_raw,
                            .hit_limit = finish == FINISH_LENGTH,
                            .no_room = finish == FINISH_NO_ROOM,
                            .filtered = finish == FINISH_FILTERED,
                            .no_round_trip = finish == FINISH_NO_ROUND_TRIP,
                            .source = it->source,
                            .frame = it->frame };
}

bool item_rotate(struct item *it, const struct recipe *r, const struct page *page, size_t i,
                 const bool *stopped, struct digest model, uint64_t seed, struct arena *a)
{
    struct rng rng;
    rng_init(&rng, seed, "rotate", hash64(it->source, it->n_source, 0));
    int variant = draw_prompt(r, stopped, &rng);
    if (variant >= 0)
        ask(it, r, &page->piece[item_piece(page, i)], variant, model, seed, a);
    return variant >= 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The words in random order: the poison control. Their text is that of the copy, byte counts alike.
 */
static char *shuffled(struct arena *a, const char *text, size_t n_bytes, uint64_t seed)
{
    uint32_t *at = ARENA_ARRAY(a, uint32_t, n_bytes / 2 + 1);
    struct strbuf b = { 0 };
    struct rng rng;
    size_t n = 0;
    for (size_t i = 0; i < n_bytes; i++)
        if (!is_space(text[i]) && (i == 0 || is_space(text[i - 1])))
            at[n++] = (uint32_t)i;
    rng_init(&rng, seed, "shuffle words", hash64(text, n_bytes, 0));
    rng_shuffle(&rng, at, n);
    for (size_t i = 0; i < n; i++) {
        size_t end = at[i];
        while (end < n_bytes && !is_space(text[end]))
            end++;
        if (i)
            str_addc(&b, ' ');
        str_add(&b, text + at[i], end - at[i]);
    }
    char *out = arena_strndup(a, b.s ? b.s : "", b.n);
    str_release(&b);
    return out;
}

const char *item_transform(const struct item *it, const struct recipe *r, uint64_t seed,
                           struct arena *a)
{
    if (strcmp(r->transform, "shuffle_words") == 0)
        return shuffled(a, it->source, it->n_source, seed);
    return it->source;
}
