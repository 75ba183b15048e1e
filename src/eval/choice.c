/* eval/choice.c - see choice.h. */
#include "eval/choice.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"

enum {
    MAX_LINE = 1 << 20, /* bytes of a question */
    MAX_CHOICES = 64,
    BATCH = 256 /* choices scored in one call */
};

/* ---- Texts as the harness cleans them. ---- */

static void replace_all(struct strbuf *b, const char *from, const char *to)
{
    struct strbuf out = { 0 };
    size_t n = strlen(from), at = 0;
    while (at < b->n) {
        if (b->n - at >= n && memcmp(b->s + at, from, n) == 0) {
            str_adds(&out, to);
            at += n;
        } else {
            str_add(&out, b->s + at++, 1);
        }
    }
    str_release(b);
    *b = out;
}

/* Removes [...] with nothing but other characters than line ends and ] inside, as the pattern
 * \[.*?\] does. */
static void drop_brackets(struct strbuf *b)
{
    struct strbuf out = { 0 };
    for (size_t at = 0; at < b->n; at++) {
        size_t end = at;
        if (b->s[at] == '[')
            while (end < b->n && b->s[end] != ']' && b->s[end] != '\n')
                end++;
        if (b->s[at] == '[' && end < b->n && b->s[end] == ']')
            at = end;
        else
            str_add(&out, b->s + at, 1);
    }
    str_release(b);
    *b = out;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

/* HellaSwag's texts come from web pages with marks of their own. */
static char *hellaswag_clean(const char *text, size_t n)
{
    struct strbuf b = { 0 };
    while (n > 0 && is_space(*text))
        text++, n--;
    while (n > 0 && is_space(text[n - 1]))
        n--;
    str_add(&b, text, n);
    replace_all(&b, " [title]", ". ");
    drop_brackets(&b);
    replace_all(&b, "  ", " ");
    return b.s ? str_detach(&b) : xstrdup("");
}

/* The first letter large, all others small: of ASCII; other letters stay as they are. */
static void add_capitalised(struct strbuf *b, const char *s)
{
    for (size_t i = 0; s[i]; i++) {
        char c = s[i];
        if (i == 0 && c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        else if (i > 0 && c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        str_add(b, &c, 1);
    }
}

/* ---- Kinds of lines. ---- */

static void add_choice(struct question *q, char *text)
{
    q->choice = xrealloc(q->choice, (size_t)q->n_choice + 1, sizeof *q->choice);
    q->choice[q->n_choice++] = text;
}

/* A label is a whole number or, as some files have it, the same as text. */
static int label_of(const struct js *line)
{
    const char *text = js_get_text(line, "label", NULL);
    char *end;
    int64_t v = js_get_whole(line, "label", -1);
    if (text) {
        v = strtol(text, &end, 10);
        v = end == text || *end ? -1 : v;
    }
    return v < 0 || v > MAX_CHOICES ? -1 : (int)v;
}

static const char *read_hellaswag(struct question *q, const struct js *line)
{
    const char *a = js_get_text(line, "ctx_a", NULL), *b = js_get_text(line, "ctx_b", NULL),
               *activity = js_get_text(line, "activity_label", NULL);
    const struct js *endings = js_get(line, "endings");
    if (!a || !b || !activity)
        return "ctx_a, ctx_b and activity_label are to be text";
    struct strbuf prompt = { 0 };
    str_printf(&prompt, "%s: %s ", activity, a);
    add_capitalised(&prompt, b);
    q->prompt = hellaswag_clean(prompt.s, prompt.n);
    str_release(&prompt);
    for (size_t i = 0; i < js_len(endings) && i <= MAX_CHOICES; i++) {
        size_t n;
        const char *ending = js_as_text(js_at(endings, i), &n);
        if (!ending)
            return "endings are to be texts";
        add_choice(q, hellaswag_clean(ending, n));
    }
    q->gold = label_of(line);
    return NULL;
}

static const char *read_arc(struct question *q, const struct js *line)
{
    const char *question = js_get_text(line, "question", NULL),
               *key = js_get_text(line, "answerKey", NULL);
    const struct js *choices = js_get(line, "choices"), *text = js_get(choices, "text"),
                    *label = js_get(choices, "label");
    if (!question || !key)
        return "question and answerKey are to be text";
    q->prompt = xasprintf("Question: %s\nAnswer:", question);
    q->gold = -1;
    for (size_t i = 0; i < js_len(text) && i <= MAX_CHOICES; i++) {
        const char *choice = js_as_text(js_at(text, i), NULL),
                   *name = js_as_text(js_at(label, i), NULL);
        if (!choice || !name)
            return "choices is to hold as many texts as labels";
        if (q->gold < 0 && strcmp(name, key) == 0)
            q->gold = (int)i;
        add_choice(q, xstrdup(choice));
    }
    return NULL;
}

static const char *read_piqa(struct question *q, const struct js *line)
{
    const char *goal = js_get_text(line, "goal", NULL), *one = js_get_text(line, "sol1", NULL),
               *two = js_get_text(line, "sol2", NULL);
    if (!goal || !one || !two)
        return "goal, sol1 and sol2 are to be text";
    q->prompt = xasprintf("Question: %s\nAnswer:", goal);
    add_choice(q, xstrdup(one));
    add_choice(q, xstrdup(two));
    q->gold = label_of(line);
    return NULL;
}

/* To add a kind: a row here, a function above. */
static const struct kind {
    const char *name, *key; /* key: only lines of this kind have it */
    const char *(*read)(struct question *q, const struct js *line); /* NULL or what is wrong */
} kind[] = {
    { "hellaswag", "endings", read_hellaswag },
    { "arc", "answerKey", read_arc },
    { "piqa", "sol1", read_piqa },
};

static void question_release(struct question *q)
{
    for (int i = 0; i < q->n_choice; i++)
        free(q->choice[i]);
    free(q->choice);
    free(q->prompt);
    *q = (struct question){ 0 };
}

static const char *read_line(struct questions *all, struct question *q, const struct js *line)
{
    const struct kind *k = NULL;
    for (size_t i = 0; i < N_OF(kind) && !k; i++)
        if (js_get(line, kind[i].key))
            k = &kind[i];
    if (!k)
        return "it is no question of HellaSwag (endings), ARC (answerKey) or PIQA (sol1)";
    if (all->kind && all->kind != k->name)
        return "it is of another kind than the lines before";
    const char *why = k->read(q, line);
    if (why)
        return why;
    if (q->n_choice < 2 || q->n_choice > MAX_CHOICES)
        return "want 2 to 64 choices";
    if (q->gold < 0 || q->gold >= q->n_choice)
        return "its label names none of the choices";
    for (int i = 0; i < q->n_choice; i++)
        if (!*q->choice[i])
            return "a choice is empty";
    all->kind = k->name;
    return NULL;
}

static enum st take_line(struct questions *all, const char *path, uint64_t n_line,
                         const struct strbuf *text, bool strict, struct err *err)
{
    struct js *line = NULL;
    struct question q = { 0 };
    struct err bad = { "" };
    const char *why = NULL;
    if (js_parse(&line, text->s, text->n, &bad) < 0)
        why = bad.msg;
    else if (js_kind(line) != JS_OBJECT)
        why = "it is no object";
    else
        why = read_line(all, &q, line);
    if (!why) {
        GROW(all->q, all->n, all->cap);
        all->q[all->n++] = q;
        js_free(line);
        return ST_OK;
    }
    enum st st = ST_OK;
    if (strict) {
        st = err_set(err, ST_FORMAT, "'%s' line %llu: %s", path, (unsigned long long)n_line, why);
    } else {
        log_warn("'%s' line %llu skipped: %s", path, (unsigned long long)n_line, why);
        all->n_skipped++;
    }
    question_release(&q);
    js_free(line);
    return st;
}

void choice_release(struct questions *all)
{
    for (size_t i = 0; i < all->n; i++)
        question_release(&all->q[i]);
    free(all->q);
    free(all->name);
    *all = (struct questions){ 0 };
}

/* The file's name without folder and suffixes. */
static char *stem(const char *path)
{
    const char *name = path_base(path);
    size_t n = strcspn(name, ".");
    return xstrndup(name, n ? n : strlen(name));
}

enum st choice_read(struct questions *all, const char *path, bool strict, struct err *err)
{
    struct stream *s;
    struct strbuf line = { 0 };
    char buf[1 << 14];
    size_t n;
    uint64_t n_line = 0;
    *all = (struct questions){ 0 };
    enum st st = stream_open(&s, path, err);
    if (st < 0)
        return st;
    while ((st = stream_read(s, buf, sizeof buf, &n, err)) == ST_OK) {
        for (size_t at = 0; at < n && st == ST_OK;) {
            const char *end = memchr(buf + at, '\n', n - at);
            size_t len = (end ? (size_t)(end - buf) : n) - at;
            str_add(&line, buf + at, len);
            at += len + (end != NULL);
            if (line.n > MAX_LINE)
                st = err_set(err, ST_LIMIT, "'%s' line %llu: longer than %d bytes", path,
                             (unsigned long long)n_line + 1, (int)MAX_LINE);
            else if (end && ++n_line && line.n > 0)
                st = take_line(all, path, n_line, &line, strict, err);
            if (end)
                str_clear(&line);
        }
        if (st < 0)
            break;
    }
    if (st == ST_END)
        st = line.n > 0 ? take_line(all, path, n_line + 1, &line, strict, err) : ST_OK;
    stream_close(s);
    str_release(&line);
    if (st == ST_OK && all->n == 0)
        st = err_set(err, ST_FORMAT, "'%s' holds no question", path);
    if (st == ST_OK)
        all->name = stem(path);
    else
        choice_release(all);
    return st;
}

/* ---- Scoring. ---- */

/* One choice as tokens: prompt, a space and the choice; spaces that end the prompt go over to the
 * choice. */
struct encoded {
    uint32_t *tok;
    float *logp;
    int n_tok, from;
};

static enum st encode(struct encoded *e, const struct question *q, int c, const struct tok *tok,
                      int max_tok, struct err *err)
{
    size_t n_prompt = strlen(q->prompt), n_all;
    char *all = xasprintf("%s %s", q->prompt, q->choice[c]);
    while (n_prompt > 0 && is_space(all[n_prompt - 1]))
        n_prompt--;
    n_all = strlen(all);
    size_t room = tok_room(tok, n_all);
    uint32_t *whole = NEW_ARRAY(uint32_t, room + 1);
    e->tok = NEW_ARRAY(uint32_t, 2 * room + 2);
    int n = (int)tok_encode(tok, all, n_prompt, e->tok),
        n_whole = (int)tok_encode(tok, all, n_all, whole), n_choice = n_whole - n;
    free(all);
    enum st st = ST_OK;
    if (n_choice < 1 || n_choice > max_tok - 1)
        st = err_set(err, ST_LIMIT, "choice '%.60s' has %d tokens, want 1 to %d", q->choice[c],
                     n_choice, max_tok - 1);
    if (st == ST_OK && n == 0) /* something has to be there for the first token to follow */
        e->tok[n++] = tok_eod(tok) >= 0 ? (uint32_t)tok_eod(tok) : 0;
    if (st == ST_OK) {
        memcpy(e->tok + n, whole + n_whole - n_choice, (size_t)n_choice * sizeof *whole);
        int cut = n + n_choice > max_tok ? n + n_choice - max_tok : 0;
        memmove(e->tok, e->tok + cut, (size_t)(n + n_choice - cut) * sizeof *e->tok);
        e->from = n - cut;
        e->n_tok = n + n_choice - cut;
        e->logp = NEW_ARRAY(float, (size_t)n_choice);
    }
    free(whole);
    return st;
}

static size_t n_characters(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* Which choice has the highest score; the first of equals. */
static void judge(struct choice_score *sum, const struct question *q, const double *score)
{
    int best = 0, best_norm = 0;
    double top = -INFINITY, top_norm = -INFINITY;
    for (int c = 0; c < q->n_choice; c++) {
        double norm = score[c] / (double)n_characters(q->choice[c]);
        if (score[c] > top)
            top = score[c], best = c;
        if (norm > top_norm)
            top_norm = norm, best_norm = c;
    }
    sum->n_question++;
    sum->acc += best == q->gold;
    sum->acc_norm += best_norm == q->gold;
}

static double standard_error(double share, uint64_t n)
{
    return n > 1 ? sqrt(share * (1 - share) / (double)(n - 1)) : NAN;
}

/* Questions [first, first + n) in one call of the model. */
static enum st score_batch(struct choice_score *sum, const struct questions *all, size_t first,
                           size_t n, struct gen *g, double *score, struct err *err)
{
    size_t n_text = 0, at = 0;
    enum st st = ST_OK;
    for (size_t i = first; i < first + n; i++)
        n_text += (size_t)all->q[i].n_choice;
    struct encoded *e = NEW_ARRAY(struct encoded, n_text);
    struct gen_text *text = NEW_ARRAY(struct gen_text, n_text);
    for (size_t i = first; i < first + n && st == ST_OK; i++)
        for (int c = 0; c < all->q[i].n_choice && st == ST_OK; c++, at++) {
            st = encode(&e[at], &all->q[i], c, gen_tok(g), gen_max_text(g), err);
            text[at] = (struct gen_text){
                .tok = e[at].tok, .n_tok = e[at].n_tok, .from = e[at].from, .logp = e[at].logp
            };
            err_in(err, st, "question %zu", i + 1);
        }
    if (st == ST_OK)
        st = gen_logprobs(g, text, n_text, err);
    at = 0;
    for (size_t i = first; i < first + n && st == ST_OK; i++) {
        double own[MAX_CHOICES];
        for (int c = 0; c < all->q[i].n_choice; c++, at++) {
            own[c] = 0;
            for (int k = 0; k < e[at].n_tok - e[at].from; k++)
                own[c] += (double)e[at].logp[k];
            sum->n_tok += (uint64_t)(e[at].n_tok - e[at].from);
        }
        judge(sum, &all->q[i], own);
        if (score)
            memcpy(score + (at - (size_t)all->q[i].n_choice), own,
                   (size_t)all->q[i].n_choice * sizeof *own);
    }
    for (size_t i = 0; i < n_text; i++) {
        free(e[i].tok);
        free(e[i].logp);
    }
    free(e);
    free(text);
    return st;
}

enum st choice_score(const struct questions *all, struct gen *g, struct choice_score *out,
                     double *score, struct err *err)
{
    struct choice_score sum = { 0 };
    struct progress p;
    enum st st = ST_OK;
    progress_start(&p, all->name, all->n, "questions");
    for (size_t i = 0, n; i < all->n && st == ST_OK; i += n) {
        size_t n_text = 0;
        for (n = 0; i + n < all->n && n_text < BATCH; n++)
            n_text += (size_t)all->q[i + n].n_choice;
        st = score_batch(&sum, all, i, n, g, score, err);
        if (score)
            score += n_text;
        progress_at(&p, i + n);
    }
    progress_end(&p);
    if (st < 0)
        return err_in(err, st, "'%s'", all->name);
    sum.acc /= (double)sum.n_question;
    sum.acc_norm /= (double)sum.n_question;
    sum.acc_stderr = standard_error(sum.acc, sum.n_question);
    sum.acc_norm_stderr = standard_error(sum.acc_norm, sum.n_question);
    *out = sum;
    return ST_OK;
}
