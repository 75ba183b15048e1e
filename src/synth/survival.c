/* synth/survival.c - see survival.h. */
#include "synth/survival.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "synth/text.h"

enum {
    LONG_WORD = 6,  /* letters of a longer word, and how many of them must agree */
    NUMBER_MAX = 32 /* digits of a number that are looked at */
};

const char *survivor_name(enum survivor k)
{
    static const char *const name[SURVIVE_N] = { "source_kept", "names_kept", "numbers_kept" };
    return name[k];
}

const char *survivor_text(enum survivor k)
{
    static const char *const text[SURVIVE_N] = { "longer words and numbers", "names", "numbers" };
    return text[k];
}

static uint64_t hash_byte(uint64_t h, char c)
{
    return (h ^ (uint64_t)tolower((unsigned char)c)) * 0x100000001b3u;
}

static const uint64_t hash_start = 0xcbf29ce484222325u; /* FNV-1a */

/* The key of a longer word or a number, 0 for others. */
static uint64_t content_key(const struct word *w)
{
    size_t letters = 0, digits = 0;
    for (uint32_t i = 0; i < w->n_bytes; i++) {
        letters += isalpha((unsigned char)w->s[i]) || (unsigned char)w->s[i] >= 128;
        digits += isdigit((unsigned char)w->s[i]) != 0;
    }
    if (digits >= 2 && !letters)
        return w->hash;
    if (letters < LONG_WORD)
        return 0;
    uint64_t h = hash_start;
    for (int i = 0; i < LONG_WORD; i++)
        h = hash_byte(h, w->s[i]);
    return h;
}

/* A word without typographic quotes around it and without what follows one: U+2000 to U+207F. */
static struct word bare(struct word w)
{
    while (w.n_bytes > 3 && w.s[0] == '\xe2' && (w.s[1] == '\x80' || w.s[1] == '\x81')) {
        w.s += 3;
        w.n_bytes -= 3;
    }
    for (uint32_t i = 0; i + 1 < w.n_bytes; i++)
        if (w.s[i] == '\xe2' && (w.s[i + 1] == '\x80' || w.s[i + 1] == '\x81'))
            w.n_bytes = i;
    w.hash = hash_start;
    for (uint32_t i = 0; i < w.n_bytes; i++)
        w.hash = hash_byte(w.hash, w.s[i]);
    return w;
}

/* Length of the capital that a word begins with; 0: it begins with none. */
static uint32_t capital(const struct word *w)
{
    if (w->n_bytes && isupper((unsigned char)w->s[0]))
        return 1;
    bool latin1 = w->n_bytes > 1 && w->s[0] == '\xc3' && (unsigned char)w->s[1] >= 0x80 &&
                  (unsigned char)w->s[1] <= 0x9e;
    return latin1 ? 2 : 0;
}

/* Whether a word follows what can begin a sentence within a sentence: a quote, a colon. */
static bool begins_anew(const char *begin, const char *s)
{
    while (s > begin && (s[-1] == ' ' || s[-1] == '('))
        s--;
    return s == begin || strchr("\"':;*#-", s[-1]) ||
           (s - begin >= 3 && s[-3] == '\xe2' && s[-2] == '\x80');
}

struct keys {
    struct hashset set;
    uint64_t *list; /* of the source, each once */
    size_t n;
};

static struct keys keys_new(struct arena *a, size_t most)
{
    return (struct keys){ hashset_new(a, most), ARENA_ARRAY(a, uint64_t, most + 1), 0 };
}

static void keys_add(struct keys *k, uint64_t key)
{
    if (key && !hashset_add(&k->set, key))
        k->list[k->n++] = key;
}

static void add_words(struct keys *k, struct arena *a, const char *text, size_t n_bytes)
{
    size_t n;
    struct word *w = text_words(a, text, n_bytes, &n);
    for (size_t i = 0; i < n; i++)
        keys_add(k, content_key(&w[i]));
}

/* A number that begins at p: its key, and where it ends. "1,250" is 1250; "1.5" keeps its point. */
static uint64_t number_at(const char *p, const char *end, const char **after)
{
    uint64_t h = hash_start;
    int digits = 0;
    for (; p < end; p++) {
        if (isdigit((unsigned char)*p)) {
            if (digits++ < NUMBER_MAX)
                h = hash_byte(h, *p);
            continue;
        }
        bool inner = (*p == ',' || *p == '.') && p + 1 < end && isdigit((unsigned char)p[1]);
        if (!inner)
            break;
        bool thousands = *p == ',' && end - p > 3 && isdigit((unsigned char)p[2]) &&
                         isdigit((unsigned char)p[3]) &&
                         (end - p == 4 || !isdigit((unsigned char)p[4]));
        if (!thousands)
            h = hash_byte(h, *p);
    }
    *after = p;
    return digits >= 2 ? h : 0;
}

static void add_numbers(struct keys *k, const char *text, size_t n_bytes)
{
    const char *end = text + n_bytes;
    for (const char *p = text; p < end;) {
        bool inside = p > text && isalnum((unsigned char)p[-1]); /* "B52" is no number */
        if (isdigit((unsigned char)*p) && !inside)
            keys_add(k, number_at(p, end, &p));
        else
            p++;
    }
}

/* Names in one sentence, the words that the source also writes small left out. */
static void names_of(struct keys *k, struct arena *a, const struct span *s,
                     const struct hashset *small)
{
    size_t n, n_capital = 0;
    struct word *w = text_words(a, s->s, s->n_bytes, &n);
    for (size_t i = 0; i < n; i++) {
        w[i] = bare(w[i]);
        n_capital += capital(&w[i]) > 0;
    }
    if (n > 3 && 2 * n_capital > n)
        return; /* a heading, or a list of names: nothing tells which */
    for (size_t i = 1; i < n; i++)
        if (capital(&w[i]) && w[i].n_bytes > capital(&w[i]) && !begins_anew(s->s, w[i].s) &&
            !hashset_has(small, w[i].hash))
            keys_add(k, w[i].hash);
}

static void add_names(struct keys *k, struct arena *a, const char *text, size_t n_bytes)
{
    size_t n, n_sentence;
    struct word *w = text_words(a, text, n_bytes, &n);
    struct hashset small = hashset_new(a, n);
    for (size_t i = 0; i < n; i++) {
        struct word b = bare(w[i]);
        if (b.n_bytes && !capital(&b))
            hashset_add(&small, b.hash);
    }
    struct span *s = text_sentences(a, text, n_bytes, &n_sentence);
    for (size_t i = 0; i < n_sentence; i++)
        names_of(k, a, &s[i], &small);
}

struct survival survival_of(struct arena *a, const char *answer, size_t n_bytes, const char *source)
{
    struct survival out = { 0 };
    struct arena_mark mark = arena_mark(a);
    size_t n_source = strlen(source), n;
    struct keys from[SURVIVE_N], in[SURVIVE_N];
    for (int k = 0; k < SURVIVE_N; k++) {
        from[k] = keys_new(a, n_source / 2 + 1);
        in[k] = keys_new(a, n_bytes / 2 + 1);
    }
    add_words(&from[SURVIVE_WORDS], a, source, n_source);
    add_names(&from[SURVIVE_NAMES], a, source, n_source);
    add_numbers(&from[SURVIVE_NUMBERS], source, n_source);
    add_words(&in[SURVIVE_WORDS], a, answer, n_bytes);
    add_numbers(&in[SURVIVE_NUMBERS], answer, n_bytes);
    struct word *w = text_words(a, answer, n_bytes, &n);
    for (size_t i = 0; i < n; i++) /* a name survives at a sentence's beginning too, and small */
        keys_add(&in[SURVIVE_NAMES], bare(w[i]).hash);
    for (int k = 0; k < SURVIVE_N; k++) {
        out.n[k] = from[k].n;
        for (size_t i = 0; i < from[k].n; i++)
            out.kept[k] += hashset_has(&in[k].set, from[k].list[i]);
    }
    arena_rewind(a, mark);
    return out;
}

void survival_add(struct survival *sum, const struct survival *s)
{
    for (int k = 0; k < SURVIVE_N; k++) {
        sum->n[k] += s->n[k];
        sum->kept[k] += s->kept[k];
    }
}

double survival_share(const struct survival *s, enum survivor k)
{
    return s->n[k] ? (double)s->kept[k] / (double)s->n[k] : NAN;
}
