/* model/chat.c - see chat.h. */
#include "model/chat.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const char START[] = "<|im_start|>", END[] = "<|im_end|>";

/* The default system message: a literal "<|im_start|>system\nTEXT<|im_end|>" in one string of the
 * template. Line ends may be real ones or written \n. */
static char *default_system(const char *template)
{
    static const char head[] = "<|im_start|>system";
    for (const char *p = template; (p = strstr(p, head));) {
        p += sizeof head - 1;
        const char *text = *p == '\n' ? p + 1 : p[0] == '\\' && p[1] == 'n' ? p + 2 : NULL;
        const char *end = text ? strstr(text, END) : NULL;
        if (!end || end == text)
            continue;
        struct strbuf b = { 0 };
        const char *c = text;
        for (; c < end && *c != '\'' && *c != '"' && strncmp(c, "{{", 2) != 0; c++) {
            if (c[0] == '\\' && (c[1] == 'n' || c[1] == '\'' || c[1] == '"' || c[1] == '\\')) {
                c++;
                str_addc(&b, *c == 'n' ? '\n' : *c);
            } else {
                str_addc(&b, *c);
            }
        }
        if (c == end)
            return str_detach(&b);
        str_release(&b);
    }
    return NULL;
}

void chat_init(struct chat *c, const char *template, const struct tok *t)
{
    *c = (struct chat){ .start = tok_id(t, START), .end = tok_id(t, END) };
    if (!template || !*template)
        c->problem = xstrdup("the model has no chat template; give it a raw prompt");
    else if (!strstr(template, START) || !strstr(template, END) || !strstr(template, "role"))
        c->problem =
            xasprintf("the model's chat template is not ChatML; it begins '%.80s'", template);
    else if (c->start < 0 || c->end < 0)
        c->problem = xstrdup("the model's chat template is ChatML, but its tokenizer has no "
                             "<|im_start|> and <|im_end|>");
    else
        c->system = default_system(template);
}

void chat_release(struct chat *c)
{
    free(c->system);
    free(c->problem);
    *c = (struct chat){ 0 };
}

struct list {
    uint32_t *tok;
    size_t n;
};

static void add_text(struct list *l, const struct tok *t, const char *s)
{
    size_t n_bytes = strlen(s);
    l->tok = xrealloc(l->tok, l->n + tok_room(t, n_bytes) + 1, sizeof *l->tok);
    l->n += tok_encode(t, s, n_bytes, l->tok + l->n);
}

static void add_id(struct list *l, int64_t id)
{
    l->tok = xrealloc(l->tok, l->n + 1, sizeof *l->tok);
    l->tok[l->n++] = (uint32_t)id;
}

/* Role and text are one stretch of text between marks, and tokenized as one. */
static void add_message(struct list *l, const struct chat *c, const struct tok *t, const char *role,
                        const char *text)
{
    char *s = xasprintf("%s\n%s", role, text);
    add_id(l, c->start);
    add_text(l, t, s);
    free(s);
}

enum st chat_tokens(const struct chat *c, const struct tok *t, const char *system, const char *user,
                    const char *prefill, uint32_t **tok, int *n_tok, struct err *err)
{
    if (c->problem)
        return err_set(err, ST_UNSUPPORTED, "%s", c->problem);
    struct list l = { *tok, (size_t)*n_tok };
    if (!system)
        system = c->system;
    if (system) {
        add_message(&l, c, t, "system", system);
        add_id(&l, c->end);
        add_text(&l, t, "\n");
    }
    add_message(&l, c, t, "user", user ? user : "");
    add_id(&l, c->end);
    add_text(&l, t, "\n");
    add_message(&l, c, t, "assistant", prefill ? prefill : "");
    *tok = l.tok;
    *n_tok = (int)l.n;
    return ST_OK;
}
