/* synth/recipe.c - see recipe.h. Every setting is a row of a table; the rest is checks across
 * settings. */
#include "synth/recipe.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/conf.h"
#include "base/file.h"
#include "base/mem.h"

enum { RECIPE_MAX_BYTES = 1 << 20, PROMPT_MAX = 64, VARY_MAX = 16 };

#define AT(member) offsetof(struct recipe, member)

static const struct field recipe_field[] = {
    { .name = "name", .kind = FIELD_TEXT, .offset = AT(name) },
    { .name = "purpose", .kind = FIELD_TEXT, .offset = AT(purpose) },
    { .name = "transform",
      .kind = FIELD_CHOICE,
      .choices = "none|copy|shuffle_words|import",
      .offset = AT(transform) },
};

static const struct field input_field[] = {
    { .name = "unit",
      .kind = FIELD_CHOICE,
      .choices = "passage|page|keywords|document",
      .offset = AT(input.unit) },
    { .name = "max_words",
      .kind = FIELD_WHOLE,
      .offset = AT(input.max_words),
      .min = 10,
      .max = 1e5 },
    { .name = "min_words", .kind = FIELD_WHOLE, .offset = AT(input.min_words), .max = 1e5 },
    { .name = "pieces", .kind = FIELD_WHOLE, .offset = AT(input.pieces), .max = 1e4 },
    { .name = "draw", .kind = FIELD_CHOICE, .choices = "one|all", .offset = AT(input.draw) },
    { .name = "keywords", .kind = FIELD_WHOLE, .offset = AT(input.keywords), .min = 1, .max = 32 },
};

static const struct field sampling_field[] = {
    { .name = "temperature", .kind = FIELD_REAL, .offset = AT(sampling.temperature), .max = 5 },
    { .name = "top_p", .kind = FIELD_REAL, .offset = AT(sampling.top_p), .min = 0.01, .max = 1 },
    { .name = "top_k", .kind = FIELD_WHOLE, .offset = AT(sampling.top_k), .max = 1e6 },
    { .name = "min_p", .kind = FIELD_REAL, .offset = AT(sampling.min_p), .max = 1 },
    { .name = "repetition_penalty",
      .kind = FIELD_REAL,
      .offset = AT(sampling.repetition_penalty),
      .min = 0.5,
      .max = 3 },
    { .name = "max_tok",
      .kind = FIELD_WHOLE,
      .offset = AT(sampling.max_tok),
      .min = 1,
      .max = 32768 },
    { .name = "tok_per_word", .kind = FIELD_REAL, .offset = AT(sampling.tok_per_word), .max = 100 },
    { .name = "contrast_lambda",
      .kind = FIELD_REAL,
      .offset = AT(sampling.contrast_lambda),
      .max = 10 },
    { .name = "contrast_alpha",
      .kind = FIELD_REAL,
      .offset = AT(sampling.contrast_alpha),
      .min = 0.0001,
      .max = 1 },
    { .name = "stop", .kind = FIELD_LIST, .offset = AT(sampling.stop) },
};

static const struct field parse_field[] = {
    { .name = "form",
      .kind = FIELD_CHOICE,
      .choices = "text|qa|lines|table",
      .offset = AT(parse.form) },
    { .name = "tags", .kind = FIELD_LIST, .offset = AT(parse.tags) },
    { .name = "line_start", .kind = FIELD_TEXT, .offset = AT(parse.line_start) },
    { .name = "after", .kind = FIELD_TEXT, .offset = AT(parse.after) },
    { .name = "join", .kind = FIELD_CHOICE, .choices = "none|page", .offset = AT(parse.join) },
    { .name = "strip_preamble", .kind = FIELD_BOOL, .offset = AT(parse.strip_preamble) },
    { .name = "cut_at_sentence", .kind = FIELD_BOOL, .offset = AT(parse.cut_at_sentence) },
    { .name = "cut_at_loop", .kind = FIELD_BOOL, .offset = AT(parse.cut_at_loop) },
    { .name = "drop_meta_sentences", .kind = FIELD_BOOL, .offset = AT(parse.drop_meta_sentences) },
    { .name = "source_first", .kind = FIELD_BOOL, .offset = AT(parse.source_first) },
    { .name = "max_pairs", .kind = FIELD_WHOLE, .offset = AT(parse.max_pairs), .max = 1000 },
    { .name = "max_lines", .kind = FIELD_WHOLE, .offset = AT(parse.max_lines), .max = 1000 },
};

static const struct field limits_field[] = {
    { .name = "min_words", .kind = FIELD_WHOLE, .offset = AT(limits.min_words), .max = 1e5 },
    { .name = "max_ratio", .kind = FIELD_REAL, .offset = AT(limits.max_ratio), .max = 1000 },
    { .name = "max_copied", .kind = FIELD_REAL, .offset = AT(limits.max_copied), .max = 1 },
    { .name = "max_loop", .kind = FIELD_REAL, .offset = AT(limits.max_loop), .max = 1 },
    { .name = "min_source_kept",
      .kind = FIELD_REAL,
      .offset = AT(limits.min_survives[SURVIVE_WORDS]),
      .max = 1 },
    { .name = "min_names_kept",
      .kind = FIELD_REAL,
      .offset = AT(limits.min_survives[SURVIVE_NAMES]),
      .max = 1 },
    { .name = "min_numbers_kept",
      .kind = FIELD_REAL,
      .offset = AT(limits.min_survives[SURVIVE_NUMBERS]),
      .max = 1 },
    { .name = "max_similar",
      .kind = FIELD_REAL,
      .offset = AT(limits.max_similar),
      .min = 0.5,
      .max = 1 },
    { .name = "min_pairs", .kind = FIELD_WHOLE, .offset = AT(limits.min_pairs), .max = 1000 },
    { .name = "min_lines", .kind = FIELD_WHOLE, .offset = AT(limits.min_lines), .max = 1000 },
};

static const struct field weak_field[] = {
    { .name = "min_kept", .kind = FIELD_REAL, .offset = AT(weak.min_kept), .max = 1 },
    { .name = "min_source_kept",
      .kind = FIELD_REAL,
      .offset = AT(weak.min_survives[SURVIVE_WORDS]),
      .max = 1 },
    { .name = "min_names_kept",
      .kind = FIELD_REAL,
      .offset = AT(weak.min_survives[SURVIVE_NAMES]),
      .max = 1 },
    { .name = "min_numbers_kept",
      .kind = FIELD_REAL,
      .offset = AT(weak.min_survives[SURVIVE_NUMBERS]),
      .max = 1 },
    { .name = "max_loop", .kind = FIELD_REAL, .offset = AT(weak.max_loop), .max = 1 },
    { .name = "max_meta_talk", .kind = FIELD_REAL, .offset = AT(weak.max_meta_talk), .max = 1 },
    { .name = "max_copied", .kind = FIELD_REAL, .offset = AT(weak.max_copied), .max = 1 },
    { .name = "max_length", .kind = FIELD_REAL, .offset = AT(weak.max_length), .max = 1 },
};

static const struct field edit_field[] = {
    { .name = "above", .kind = FIELD_REAL, .offset = AT(edit_above), .min = 0.001, .max = 1 },
};

static const struct field collapse_field[] = {
    { .name = "action",
      .kind = FIELD_CHOICE,
      .choices = "rotate|stop|warn",
      .offset = AT(collapse.action) },
    { .name = "window", .kind = FIELD_WHOLE, .offset = AT(collapse.window), .min = 16, .max = 500 },
    { .name = "max_same_opening",
      .kind = FIELD_REAL,
      .offset = AT(collapse.max_same_opening),
      .max = 1 },
    { .name = "min_distinct_2",
      .kind = FIELD_REAL,
      .offset = AT(collapse.min_distinct_2),
      .max = 1 },
    { .name = "max_compression",
      .kind = FIELD_REAL,
      .offset = AT(collapse.max_compression),
      .min = 1,
      .max = 2000 },
    { .name = "max_self_similar",
      .kind = FIELD_REAL,
      .offset = AT(collapse.max_self_similar),
      .max = 1 },
};

static const struct recipe defaults = {
    .transform = "none",
    .input = { .unit = "passage",
               .max_words = 300,
               .min_words = 30,
               .pieces = 1,
               .keywords = 6,
               .draw = "one" },
    .sampling = { .temperature = 0.7,
                  .top_p = 0.9,
                  .repetition_penalty = 1,
                  .max_tok = 512,
                  .contrast_alpha = 0.1 },
    .parse = { .form = "text", .line_start = "- ", .join = "none", .strip_preamble = true },
    .limits = { .min_words = 40,
                .max_ratio = 3,
                .max_copied = 1,
                .max_loop = 0.2,
                .max_similar = 0.8,
                .min_pairs = 1 },
    .weak = { .min_kept = 0.4,
              .min_survives[SURVIVE_WORDS] = 0.35,
              .max_loop = 0.1,
              .max_meta_talk = 0.2,
              .max_copied = 0.5,
              .max_length = 0.3 },
    .edit_above = 0.99,
    /* Between healthy and collapsed answers, docs/RECIPES.md has both. */
    .collapse = { .action = "rotate",
                  .window = 100,
                  .max_same_opening = 0.5,
                  .min_distinct_2 = 0.4,
                  .max_compression = 4,
                  .max_self_similar = 0.4 },
};

#define READ_TABLE(section)                                                                        \
    static enum st read_##section(const struct yml *v, const char *file, void *obj,                \
                                  struct err *err)                                                 \
    {                                                                                              \
        return conf_map(v, file, section##_field, N_OF(section##_field), obj, NULL, 0, err);       \
    }
READ_TABLE(input)
READ_TABLE(sampling)
READ_TABLE(parse)
READ_TABLE(limits)
READ_TABLE(weak)
READ_TABLE(collapse)

static const struct field prompt_field[] = {
    { .name = "name", .kind = FIELD_TEXT, .offset = offsetof(struct recipe_prompt, name) },
    { .name = "weight",
      .kind = FIELD_REAL,
      .offset = offsetof(struct recipe_prompt, weight),
      .min = 0.001,
      .max = 1000 },
    { .name = "system", .kind = FIELD_TEXT, .offset = offsetof(struct recipe_prompt, system) },
    { .name = "user", .kind = FIELD_TEXT, .offset = offsetof(struct recipe_prompt, user) },
    { .name = "prefill", .kind = FIELD_TEXT, .offset = offsetof(struct recipe_prompt, prefill) },
    { .name = "raw", .kind = FIELD_TEXT, .offset = offsetof(struct recipe_prompt, raw) },
};

static enum st read_prompts(const struct yml *v, const char *file, void *obj, struct err *err)
{
    struct recipe *r = obj;
    if (v->kind != YML_LIST)
        return conf_fail(err, file, v,
                         "prompts: want a list of {name, system, user, prefill} or {name, raw}");
    for (const struct yml *e = v->child; e; e = e->next) {
        if (r->n_prompt == PROMPT_MAX)
            return conf_fail(err, file, e, "more than %d prompts", PROMPT_MAX);
        struct recipe_prompt p = { .weight = 1 };
        enum st st = conf_map(e, file, prompt_field, N_OF(prompt_field), &p, NULL, 0, err);
        if (st < 0)
            return st;
        if (p.raw && (p.user || p.system))
            return conf_fail(err, file, e, "raw is text to go on with: no 'user', no 'system'");
        if (p.raw)
            p.user = p.raw;
        if (!p.name || !*p.name || !p.user || !*p.user)
            return conf_fail(err, file, e, "a prompt needs 'name' and 'user', or 'name' and 'raw'");
        for (size_t i = 0; i < r->n_prompt; i++)
            if (strcmp(r->prompt[i].name, p.name) == 0)
                return conf_fail(err, file, e, "two prompts are called '%s'", p.name);
        GROW(r->prompt, r->n_prompt, r->cap_prompt);
        r->prompt[r->n_prompt++] = p;
    }
    return ST_OK;
}

static enum st read_vary(const struct yml *v, const char *file, void *obj, struct err *err)
{
    struct recipe *r = obj;
    if (v->kind != YML_MAP)
        return conf_fail(err, file, v, "vary: want a map of placeholder: [values]");
    for (const struct yml *e = v->child; e; e = e->next) {
        const struct field values = { .name = e->key, .kind = FIELD_LIST, .offset = 0 };
        if (strcmp(e->key, "text") == 0 || strcmp(e->key, "keywords") == 0 ||
            strcmp(e->key, "n_words") == 0)
            return conf_fail(err, file, e, "'%s' is the source's own placeholder", e->key);
        if (r->n_vary == VARY_MAX)
            return conf_fail(err, file, e, "more than %d placeholders", VARY_MAX);
        struct yml alone = *v; /* the one entry as a map of its own */
        struct yml entry = *e;
        entry.next = NULL;
        alone.child = &entry;
        struct textlist list = { 0 };
        enum st st = conf_map(&alone, file, &values, 1, &list, NULL, 0, err);
        if (st == ST_OK && list.n == 0)
            st = conf_fail(err, file, e, "%s: want at least one value", e->key);
        if (st < 0) {
            textlist_release(&list);
            return st;
        }
        GROW(r->vary, r->n_vary, r->cap_vary);
        r->vary[r->n_vary++] = (struct recipe_vary){ e->key, list };
    }
    return ST_OK;
}

/* Kept as a prompt, so that what goes over prompts need not know of edits. */
static enum st read_edit(const struct yml *v, const char *file, void *obj, struct err *err)
{
    struct recipe *r = obj;
    r->edits = true;
    if (!r->n_prompt) {
        GROW(r->prompt, r->n_prompt, r->cap_prompt);
        r->prompt[r->n_prompt++] = (struct recipe_prompt){
            .name = "edit", .raw = "{text}", .user = "{text}", .weight = 1
        };
    }
    return conf_map(v, file, edit_field, N_OF(edit_field), obj, NULL, 0, err);
}

/* Length of a placeholder's name after '{' at p; 0 when this is no placeholder but a plain brace.
 */
static size_t slot_len(const char *p)
{
    size_t n = 0;
    while (islower((unsigned char)p[1 + n]) || p[1 + n] == '_')
        n++;
    return n && p[1 + n] == '}' ? n : 0;
}

static bool slot_is(const char *name, size_t len, const char *want)
{
    return strlen(want) == len && strncmp(name, want, len) == 0;
}

static bool slot_known(const struct recipe *r, const char *name, size_t len)
{
    if (slot_is(name, len, "text") || slot_is(name, len, "keywords") ||
        slot_is(name, len, "n_words"))
        return true;
    for (size_t i = 0; i < r->n_vary; i++)
        if (slot_is(name, len, r->vary[i].name))
            return true;
    return false;
}

static bool uses_slot(const char *text, const char *want)
{
    for (const char *p = text; p && (p = strchr(p, '{')); p++)
        if (slot_is(p + 1, slot_len(p), want))
            return true;
    return false;
}

static enum st check_slots(const struct recipe *r, const char *file, const struct yml *prompt,
                           struct err *err)
{
    static const char *const key[] = { "system", "user", "prefill", "raw" };
    for (size_t k = 0; k < N_OF(key); k++) {
        const struct yml *v = yml_get(prompt, key[k]);
        for (const char *p = v ? v->text : NULL; p && (p = strchr(p, '{')); p++) {
            size_t len = slot_len(p);
            if (len && !slot_known(r, p + 1, len))
                return conf_fail(err, file, v,
                                 "unknown placeholder {%.*s}; there are {text}, {keywords}, "
                                 "{n_words} and those under 'vary'",
                                 (int)len, p + 1);
        }
    }
    return ST_OK;
}

/* Settings of one form of answer say nothing in another: a recipe that has them is mistaken. */
static const struct {
    const char *section, *name, *forms;
} form_setting[] = {
    { "parse", "tags", "qa" },
    { "parse", "max_pairs", "qa" },
    { "parse", "line_start", "lines text" }, /* of text: counted, for limits.min_lines */
    { "parse", "max_lines", "lines table" },
    { "limits", "min_pairs", "qa" },
    { "limits", "min_lines", "lines table text" },
};

static enum st check_form(const struct recipe *r, const char *file, const struct yml *root,
                          struct err *err)
{
    const struct textlist *tags = &r->parse.tags;
    const struct yml *parse = yml_get(root, "parse");
    for (size_t i = 0; i < N_OF(form_setting); i++) {
        const char *name = form_setting[i].name, *forms = form_setting[i].forms;
        const struct yml *set = yml_get(yml_get(root, form_setting[i].section), name);
        if (set && !strstr(forms, r->parse.form))
            return conf_fail(err, file, set, "%s belongs to form %s, this is %s", name, forms,
                             r->parse.form);
    }
    if (tags->n &&
        (tags->n != 2 || !*tags->s[0] || !*tags->s[1] || strcasecmp(tags->s[0], tags->s[1]) == 0))
        return conf_fail(err, file, yml_get(parse, "tags"),
                         "tags: want two different words, such as [Problem, Solution]");
    if (strspn(r->parse.line_start, " #") == strlen(r->parse.line_start))
        return conf_fail(err, file, yml_get(parse, "line_start"),
                         "line_start: want what a line begins with, such as \"- \" or \"Step #:\"");
    return ST_OK;
}

/* An edit is the text itself: nothing asks for it, nothing is read out of it. */
static enum st check_edit(const struct recipe *r, const char *file, const struct yml *root,
                          struct err *err)
{
    static const char *const other[] = { "prompts", "vary", "parse" };
    if (!r->edits)
        return ST_OK;
    for (size_t i = 0; i < N_OF(other); i++)
        if (yml_get(root, other[i]))
            return conf_fail(err, file, yml_get(root, other[i]), "edit takes no '%s'", other[i]);
    if (!recipe_needs_generator(r))
        return conf_fail(err, file, yml_get(root, "edit"),
                         "edit needs a model, transform '%s' none", r->transform);
    if (recipe_contrasts(r))
        return conf_fail(err, file, yml_get(root, "sampling"), "edit draws from one model");
    if (strcmp(r->input.unit, "keywords") == 0)
        return conf_fail(err, file, yml_get(root, "input"), "edit wants a passage or a page");
    return ST_OK;
}

static enum st check_whole(const struct recipe *r, const char *file, const struct yml *root,
                           struct err *err)
{
    const struct yml *prompts = yml_get(root, "prompts");
    bool copies = !recipe_needs_generator(r);
    if (!r->name || !*r->name)
        return conf_fail(err, file, root, "'name' is missing");
    if (strspn(r->name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(r->name))
        return conf_fail(err, file, yml_get(root, "name"),
                         "name: '%s' may hold a-z, 0-9, '_' and '-' only", r->name);
    if (copies && prompts)
        return conf_fail(err, file, prompts,
                         "transform '%s' needs no generator and takes no prompts", r->transform);
    if (!copies && !r->n_prompt)
        return conf_fail(err, file, root, "'prompts' is missing: want at least one");
    const struct yml *sampling = yml_get(root, "sampling");
    if (yml_get(sampling, "contrast_alpha") && !recipe_contrasts(r))
        return conf_fail(err, file, yml_get(sampling, "contrast_alpha"),
                         "contrast_alpha says nothing without a contrast_lambda above 0");
    if (r->input.min_words > r->input.max_words)
        return conf_fail(
            err, file, yml_get(root, "input"), "min_words %llu is above max_words %llu",
            (unsigned long long)r->input.min_words, (unsigned long long)r->input.max_words);
    enum st st = check_form(r, file, root, err);
    if (st == ST_OK)
        st = check_edit(r, file, root, err);
    if (st < 0)
        return st;
    for (const struct yml *e = prompts ? prompts->child : NULL; e; e = e->next) {
        st = check_slots(r, file, e, err);
        if (st < 0)
            return st;
        const char *user = yml_text(e, "user", yml_text(e, "raw", ""));
        if (!uses_slot(user, "text") && !uses_slot(user, "keywords"))
            return conf_fail(err, file, e, "user: want {text} or {keywords} in it");
        if (recipe_goes_on(r) != (yml_get(e, "raw") != NULL))
            return conf_fail(err, file, e, "raw prompts and others: want one kind of them");
    }
    return ST_OK;
}

static struct digest prompt_digest(const struct recipe_prompt *p)
{
    struct hasher *h = hasher_new();
    hasher_text(h, p->name);
    hasher_text(h, p->system);
    hasher_text(h, p->user);
    hasher_text(h, p->prefill);
    if (p->raw)
        hasher_text(h, "raw");
    struct digest d = hasher_digest(h);
    hasher_free(h);
    return d;
}

enum st recipe_parse_text(struct recipe **out, const char *file, const char *text, size_t n_bytes,
                          struct err *err)
{
    static const struct conf_child child[] = {
        { "input", read_input },   { "sampling", read_sampling }, { "parse", read_parse },
        { "limits", read_limits }, { "weak", read_weak },         { "prompts", read_prompts },
        { "vary", read_vary },     { "edit", read_edit },         { "collapse", read_collapse }
    };
    struct recipe *r = NEW(struct recipe);
    *r = defaults;
    r->text = r->own_text = xstrndup(text, n_bytes);
    enum st st = yml_parse(&r->tree, file, text, n_bytes, err);
    if (st == ST_OK)
        st = conf_map(r->tree, file, recipe_field, N_OF(recipe_field), r, child, N_OF(child), err);
    if (st == ST_OK)
        st = check_whole(r, file, r->tree, err);
    if (st == ST_OK) {
        struct js *content = yml_json(r->tree);
        struct strbuf b = { 0 };
        js_write(content, &b);
        r->version = digest_of(b.s, b.n);
        str_release(&b);
        js_free(content);
        for (size_t i = 0; i < r->n_prompt; i++)
            r->prompt[i].digest = prompt_digest(&r->prompt[i]);
        *out = r;
        r = NULL;
    }
    recipe_free(r);
    return st;
}

void recipe_free(struct recipe *r)
{
    if (!r)
        return;
    textlist_release(&r->sampling.stop);
    textlist_release(&r->parse.tags);
    for (size_t i = 0; i < r->n_vary; i++)
        textlist_release(&r->vary[i].value);
    free(r->vary);
    free(r->prompt);
    yml_free(r->tree);
    free(r->own_text);
    free(r);
}

enum st recipe_open(struct recipe **out, const char *name, struct err *err)
{
    struct strbuf b = { 0 };
    enum st st;
    if (str_ends(name, ".yaml") || str_ends(name, ".yml")) {
        st = file_read(name, RECIPE_MAX_BYTES, &b, err);
        if (st == ST_OK)
            st = recipe_parse_text(out, name, b.s ? b.s : "", b.n, err);
        str_release(&b);
        return st;
    }
    for (const struct recipe_builtin *k = recipe_builtin; k->name; k++)
        if (strcmp(k->name, name) == 0)
            return recipe_parse_text(out, name, k->text, strlen(k->text), err);
    for (const struct recipe_builtin *k = recipe_builtin; k->name; k++)
        str_printf(&b, "%s%s", b.n ? ", " : "", k->name);
    st = err_set(err, ST_USAGE, "no recipe is called '%s'; there are %s, or give a FILE.yaml", name,
                 b.s ? b.s : "none");
    str_release(&b);
    return st;
}

const char *recipe_tag(const struct recipe *r, int part)
{
    static const char *const usual[] = { "Question", "Answer" };
    return r->parse.tags.n ? r->parse.tags.s[part] : usual[part];
}

bool recipe_asks_all(const struct recipe *r)
{
    return strcmp(r->input.draw, "all") == 0;
}

bool recipe_joins_page(const struct recipe *r)
{
    return strcmp(r->parse.join, "page") == 0;
}

bool recipe_edits(const struct recipe *r)
{
    return r->edits;
}

bool recipe_contrasts(const struct recipe *r)
{
    return r->sampling.contrast_lambda > 0;
}

bool recipe_goes_on(const struct recipe *r)
{
    return r->n_prompt > 0 && r->prompt[0].raw;
}

bool recipe_needs_generator(const struct recipe *r)
{
    return strcmp(r->transform, "none") == 0;
}

bool recipe_imports(const struct recipe *r)
{
    return strcmp(r->transform, "import") == 0;
}

bool recipe_needs_keywords(const struct recipe *r)
{
    for (size_t i = 0; i < r->n_prompt; i++)
        if (uses_slot(r->prompt[i].user, "keywords") ||
            uses_slot(r->prompt[i].system, "keywords") ||
            uses_slot(r->prompt[i].prefill, "keywords"))
            return true;
    return false;
}

void recipe_render(const struct recipe *r, const struct recipe_slots *slots, const char *text,
                   struct strbuf *out)
{
    for (const char *p = text; *p; p++) {
        size_t len = *p == '{' ? slot_len(p) : 0;
        if (!len) {
            str_addc(out, *p);
            continue;
        }
        if (slot_is(p + 1, len, "text"))
            str_adds(out, slots->text);
        else if (slot_is(p + 1, len, "keywords"))
            str_adds(out, slots->keywords);
        else if (slot_is(p + 1, len, "n_words"))
            str_printf(out, "%llu", (unsigned long long)slots->n_words);
        for (size_t i = 0; i < r->n_vary; i++)
            if (slot_is(p + 1, len, r->vary[i].name))
                str_adds(out, slots->vary[i]);
        p += len + 1;
    }
}

struct js *recipe_json(const struct recipe *r)
{
    char hex[DIGEST_HEX];
    struct js *v = field_json(recipe_field, N_OF(recipe_field), r);
    js_put_text(v, "version", digest_hex(r->version, hex));
    js_put(v, "input", field_json(input_field, N_OF(input_field), r));
    js_put(v, "sampling", field_json(sampling_field, N_OF(sampling_field), r));
    js_put(v, "parse", field_json(parse_field, N_OF(parse_field), r));
    js_put(v, "limits", field_json(limits_field, N_OF(limits_field), r));
    js_put(v, "weak", field_json(weak_field, N_OF(weak_field), r));
    if (r->edits)
        js_put(v, "edit", field_json(edit_field, N_OF(edit_field), r));
    js_put(v, "collapse", field_json(collapse_field, N_OF(collapse_field), r));
    struct js *list = js_array();
    for (size_t i = 0; i < r->n_prompt; i++) {
        struct js *p = js_object();
        js_put_text(p, "name", r->prompt[i].name);
        js_put_text(p, "digest", digest_hex(r->prompt[i].digest, hex));
        js_put_text(p, "system", r->prompt[i].system);
        js_put_text(p, r->prompt[i].raw ? "raw" : "user", r->prompt[i].user);
        js_put_text(p, "prefill", r->prompt[i].prefill);
        js_put_real(p, "weight", r->prompt[i].weight);
        js_push(list, p);
    }
    js_put(v, "prompts", list);
    return v;
}
