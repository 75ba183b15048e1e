/*
 * corpus/html.c - see html.h. The only file that knows gumbo.
 *
 * Two walks over gumbo's tree, both with a stack of their own (a page decides how deep it is): the
 * first measures each element (bytes of text, bytes of it inside links), the second writes what is
 * not navigation. Elements are numbered in the order of the walk, so that measures need no map.
 */
#include "corpus/html.h"

#include <gumbo.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "corpus/layout.h"

enum {
    BLOCK_BYTES = 1 << 20,
    TREE_FACTOR = 96, /* most bytes of tree a byte of page may cost */
    TREE_SLACK = 32 << 20,
    TREE_MAX = 512 << 20, /* whatever the page's size */
    MAIN_LEAST = 200,     /* bytes of text that make a marked main part believable */
    MENU_WORDS = 200,     /* bytes of text outside of links that a menu may have */
    LINK_PERCENT = 60     /* a block with more of its text in links is a menu */
};

struct block {
    struct block *next;
    size_t used, cap;
    _Alignas(16) unsigned char bytes[];
};

struct measure {
    uint32_t n_below; /* elements in this one, itself included */
    uint32_t n_text, n_link;
};

struct frame {
    const GumboNode *node;
    unsigned child; /* next one to visit */
    uint32_t at;    /* number of the element */
    bool link;
    bool dropped, pre;
    int item; /* ol: number of its next item; ul: 0; no list: -1 */
};

struct html {
    struct block *block; /* newest first */
    size_t n_tree, max_tree;
    jmp_buf too_big;
    struct measure *measure;
    size_t n_measure, cap_measure;
    struct frame *stack;
    size_t n_stack, cap_stack;
};

struct html *html_new(void)
{
    return NEW(struct html);
}

static void drop_blocks(struct html *h, bool keep_first)
{
    while (h->block && !(keep_first && !h->block->next)) {
        struct block *next = h->block->next;
        free(h->block);
        h->block = next;
    }
    if (h->block)
        h->block->used = 0;
}

void html_free(struct html *h)
{
    if (!h)
        return;
    drop_blocks(h, false);
    free(h->measure);
    free(h->stack);
    free(h);
}

/* Gumbo's memory: all of it goes at once. Gumbo cannot report a failure, so a tree that grows out
 * of proportion leaves by longjmp; nothing of gumbo's lives outside these blocks. */
static void *tree_alloc(void *userdata, size_t n)
{
    struct html *h = userdata;
    n = (n + 15) & ~(size_t)15;
    h->n_tree += n;
    if (h->n_tree > h->max_tree)
        longjmp(h->too_big, 1);
    if (!h->block || h->block->cap - h->block->used < n) {
        size_t cap = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        struct block *b = xmalloc(sizeof *b + cap);
        *b = (struct block){ .next = h->block, .cap = cap };
        h->block = b;
    }
    void *p = h->block->bytes + h->block->used;
    h->block->used += n;
    return p;
}

static void tree_free(void *userdata, void *p)
{
    (void)userdata, (void)p;
}

static GumboOutput *parse(struct html *h, const char *page, size_t n_bytes)
{
    h->n_tree = 0;
    h->max_tree = TREE_SLACK + TREE_FACTOR * n_bytes;
    if (h->max_tree > TREE_MAX)
        h->max_tree = TREE_MAX;
    if (setjmp(h->too_big))
        return NULL;
    GumboOptions o = kGumboDefaultOptions;
    o.allocator = tree_alloc;
    o.deallocator = tree_free;
    o.userdata = h;
    o.max_errors = 0;
    return gumbo_parse_with_options(&o, page, n_bytes);
}

/* What an element does to the text around it. */
enum role {
    INLINE,
    BLOCK, /* an empty line before and after */
    LINE,  /* a line end before and after */
    CELL,
    DROP,
    WEAK /* dropped unless most of the page is in it */
};

static enum role role_of(GumboTag tag)
{
    switch (tag) {
    case GUMBO_TAG_HEAD:
    case GUMBO_TAG_SCRIPT:
    case GUMBO_TAG_STYLE:
    case GUMBO_TAG_NAV:
    case GUMBO_TAG_FOOTER:
    case GUMBO_TAG_ASIDE:
    case GUMBO_TAG_SVG:
    case GUMBO_TAG_NOSCRIPT:
    case GUMBO_TAG_IFRAME:
    case GUMBO_TAG_OBJECT:
    case GUMBO_TAG_EMBED:
    case GUMBO_TAG_APPLET:
    case GUMBO_TAG_CANVAS:
    case GUMBO_TAG_AUDIO:
    case GUMBO_TAG_VIDEO:
    case GUMBO_TAG_MAP:
    case GUMBO_TAG_SELECT:
    case GUMBO_TAG_BUTTON:
    case GUMBO_TAG_INPUT:
    case GUMBO_TAG_TEXTAREA:
    case GUMBO_TAG_TEMPLATE:
    case GUMBO_TAG_DATALIST:
    case GUMBO_TAG_NOFRAMES:
    case GUMBO_TAG_RP:
    case GUMBO_TAG_RT:
        return DROP;
    case GUMBO_TAG_FORM:
    case GUMBO_TAG_HEADER:
    case GUMBO_TAG_MENU:
        return WEAK;
    case GUMBO_TAG_P:
    case GUMBO_TAG_DIV:
    case GUMBO_TAG_H1:
    case GUMBO_TAG_H2:
    case GUMBO_TAG_H3:
    case GUMBO_TAG_H4:
    case GUMBO_TAG_H5:
    case GUMBO_TAG_H6:
    case GUMBO_TAG_UL:
    case GUMBO_TAG_OL:
    case GUMBO_TAG_DL:
    case GUMBO_TAG_PRE:
    case GUMBO_TAG_LISTING:
    case GUMBO_TAG_XMP:
    case GUMBO_TAG_PLAINTEXT:
    case GUMBO_TAG_TABLE:
    case GUMBO_TAG_BLOCKQUOTE:
    case GUMBO_TAG_SECTION:
    case GUMBO_TAG_ARTICLE:
    case GUMBO_TAG_MAIN:
    case GUMBO_TAG_HR:
    case GUMBO_TAG_FIGURE:
    case GUMBO_TAG_FIELDSET:
    case GUMBO_TAG_ADDRESS:
    case GUMBO_TAG_CENTER:
    case GUMBO_TAG_DETAILS:
    case GUMBO_TAG_HGROUP:
    case GUMBO_TAG_DIR:
        return BLOCK;
    case GUMBO_TAG_LI:
    case GUMBO_TAG_DT:
    case GUMBO_TAG_DD:
    case GUMBO_TAG_TR:
    case GUMBO_TAG_CAPTION:
    case GUMBO_TAG_FIGCAPTION:
    case GUMBO_TAG_SUMMARY:
    case GUMBO_TAG_LEGEND:
    case GUMBO_TAG_BR:
        return LINE;
    case GUMBO_TAG_TD:
    case GUMBO_TAG_TH:
        return CELL;
    default:
        return INLINE;
    }
}

static bool is_element(const GumboNode *n)
{
    return n->type == GUMBO_NODE_ELEMENT || n->type == GUMBO_NODE_TEMPLATE;
}

static bool is_text(const GumboNode *n)
{
    return n->type == GUMBO_NODE_TEXT || n->type == GUMBO_NODE_CDATA ||
           n->type == GUMBO_NODE_WHITESPACE;
}

static const char *attribute(const GumboNode *n, const char *name)
{
    const GumboAttribute *a = gumbo_get_attribute(&n->v.element.attributes, name);
    return a ? a->value : NULL;
}

static bool one_of(const char *s, size_t n, const char *const *list)
{
    for (; *list; list++)
        if (strlen(*list) == n && strncasecmp(s, *list, n) == 0)
            return true;
    return false;
}

/* Whether a class or id names furniture of a page. Whole names, and their parts between dashes. */
static bool names_furniture(const char *s)
{
    static const char *const whole[] = { "navheader",
                                         "navfooter",
                                         "toc",
                                         "toctitle",
                                         "sidebar",
                                         "sidenav",
                                         "navbox",
                                         "navigation",
                                         "breadcrumb",
                                         "menu",
                                         "searchmenu",
                                         "topmenu",
                                         "nosearch",
                                         "skip-link",
                                         "sr-only",
                                         "noprint",
                                         "mw-editsection",
                                         "headerlink",
                                         "footer",
                                         "pagination",
                                         "sphinxsidebar",
                                         "related",
                                         "sharing",
                                         "advertisement",
                                         "cookie",
                                         "reflist",
                                         "tracking",
                                         "popup",
                                         "catlinks",
                                         "printfooter",
                                         "visually-hidden",
                                         "screen-reader-text",
                                         "site-header",
                                         "page-header-nav",
                                         NULL };
    static const char *const part[] = { "nav",    "navbar",     "breadcrumbs", "cookies",
                                        "social", "share",      "advert",      "ads",
                                        "footer", "newsletter", "subscribe",   NULL };
    while (*s) {
        size_t n = strcspn(s, " \t\n\r");
        if (one_of(s, n, whole))
            return true;
        for (size_t i = 0; i < n;) {
            size_t m = i;
            while (m < n && s[m] != '-' && s[m] != '_')
                m++;
            if (one_of(s + i, m - i, part))
                return true;
            i = m + 1;
        }
        s += n;
        s += strspn(s, " \t\n\r");
    }
    return false;
}

static bool is_hidden(const GumboNode *n)
{
    if (attribute(n, "hidden"))
        return true;
    const char *v = attribute(n, "aria-hidden");
    if (v && strcasecmp(v, "true") == 0)
        return true;
    v = attribute(n, "style");
    if (!v || !(v = strstr(v, "display")))
        return false;
    v += 7 + strspn(v + 7, " :");
    return strncasecmp(v, "none", 4) == 0;
}

static bool is_furniture(const GumboNode *n)
{
    static const char *const roles[] = { "navigation", "banner",        "contentinfo",
                                         "search",     "complementary", "menu",
                                         "menubar",    "dialog",        NULL };
    const char *v = attribute(n, "role");
    if (v && one_of(v, strlen(v), roles))
        return true;
    v = attribute(n, "class");
    if (v && names_furniture(v))
        return true;
    v = attribute(n, "id");
    return v && names_furniture(v);
}

static void push(struct html *h, struct frame f)
{
    GROW(h->stack, h->n_stack, h->cap_stack);
    h->stack[h->n_stack++] = f;
}

static uint32_t number_element(struct html *h)
{
    GROW(h->measure, h->n_measure, h->cap_measure);
    h->measure[h->n_measure] = (struct measure){ .n_below = 1 };
    return (uint32_t)h->n_measure++;
}

static uint32_t count_text(const char *s)
{
    uint32_t n = 0;
    for (; *s; s++)
        n += (unsigned char)*s > ' ';
    return n;
}

/* First walk: sizes of all elements below root, in the order in which they are met. */
static void measure_all(struct html *h, const GumboNode *root)
{
    h->n_measure = h->n_stack = 0;
    push(h, (struct frame){ .node = root, .at = number_element(h) });
    while (h->n_stack > 0) {
        struct frame *f = &h->stack[h->n_stack - 1];
        const GumboVector *children = &f->node->v.element.children;
        if (f->child == children->length) {
            struct frame done = *f;
            struct measure m = h->measure[done.at];
            if (done.link)
                m.n_link = m.n_text;
            h->measure[done.at] = m;
            if (--h->n_stack > 0) {
                struct measure *up = &h->measure[h->stack[h->n_stack - 1].at];
                up->n_below += m.n_below;
                if (!done.dropped) {
                    up->n_text += m.n_text;
                    up->n_link += m.n_link;
                }
            }
            continue;
        }
        const GumboNode *c = children->data[f->child++];
        if (is_text(c))
            h->measure[f->at].n_text += count_text(c->v.text.text);
        else if (is_element(c))
            push(h, (struct frame){ .node = c,
                                    .at = number_element(h),
                                    .link = c->v.element.tag == GUMBO_TAG_A,
                                    .dropped = role_of(c->v.element.tag) == DROP });
    }
}

/*
 * Whether the block is a menu: a list or paragraph whose text is mostly links, or a division like
 * that which holds no article beside them (a page's outer divisions hold its menus too).
 */
static bool is_menu(const GumboNode *n, struct measure m)
{
    bool links = (uint64_t)m.n_link * 100 > (uint64_t)m.n_text * LINK_PERCENT;
    switch (n->v.element.tag) {
    case GUMBO_TAG_UL:
    case GUMBO_TAG_OL:
    case GUMBO_TAG_DL:
    case GUMBO_TAG_P:
        return links;
    case GUMBO_TAG_TABLE:
    case GUMBO_TAG_DIV:
    case GUMBO_TAG_SECTION:
    case GUMBO_TAG_CENTER:
        return links && m.n_text - m.n_link < MENU_WORDS;
    default:
        return false;
    }
}

static bool is_left_out(const GumboNode *n, struct measure m, uint32_t n_page, bool in_main)
{
    enum role role = role_of(n->v.element.tag);
    bool most = (uint64_t)m.n_text * 5 > (uint64_t)n_page * 2; /* over 40 % of the page */
    if (role == DROP || is_hidden(n))
        return true;
    if (role == WEAK && !most)
        return n->v.element.tag != GUMBO_TAG_HEADER || !in_main;
    if (!most && is_furniture(n))
        return true;
    return m.n_text > 0 && is_menu(n, m);
}

static void enter(struct layout *l, struct frame *f, const struct frame *up)
{
    GumboTag tag = f->node->v.element.tag;
    GumboTag up_tag = up ? up->node->v.element.tag : GUMBO_TAG_BODY;
    bool tight = up_tag == GUMBO_TAG_LI || up_tag == GUMBO_TAG_DD || up_tag == GUMBO_TAG_TD ||
                 up_tag == GUMBO_TAG_TH;
    f->item = -1;
    f->pre = f->pre || tag == GUMBO_TAG_PRE || tag == GUMBO_TAG_LISTING || tag == GUMBO_TAG_XMP ||
             tag == GUMBO_TAG_PLAINTEXT;
    switch (role_of(tag)) {
    case BLOCK:
    case WEAK:
        layout_lines(l, tight ? 1 : 2);
        break;
    case LINE:
        if (tag == GUMBO_TAG_BR && f->pre)
            str_addc(l->out, '\n');
        else if (tag == GUMBO_TAG_BR)
            layout_lines(l, l->lines ? 2 : 1);
        else
            layout_lines(l, 1);
        break;
    case CELL:
        l->cell = l->lines == 0 && l->out->n > l->start;
        break;
    default:
        break;
    }
    if (tag == GUMBO_TAG_UL || tag == GUMBO_TAG_OL) {
        l->indent++;
        f->item = tag == GUMBO_TAG_OL ? 1 : 0;
    }
}

static void leave(struct layout *l, const struct frame *f, const struct frame *up)
{
    GumboTag tag = f->node->v.element.tag;
    GumboTag up_tag = up ? up->node->v.element.tag : GUMBO_TAG_BODY;
    bool tight = up_tag == GUMBO_TAG_LI || up_tag == GUMBO_TAG_DD || up_tag == GUMBO_TAG_TD ||
                 up_tag == GUMBO_TAG_TH;
    enum role role = role_of(tag);
    if (tag == GUMBO_TAG_PRE)
        layout_trim(l);
    if (tag == GUMBO_TAG_UL || tag == GUMBO_TAG_OL)
        l->indent--;
    if (tag == GUMBO_TAG_LI)
        l->marker = false;
    if (role == BLOCK || role == WEAK)
        layout_lines(l, tight ? 1 : 2);
    else if (role == LINE && tag != GUMBO_TAG_BR)
        layout_lines(l, 1);
}

/* Second walk: the text of root, whose number in the first walk is `at`. */
static void write_all(struct html *h, const GumboNode *root, uint32_t at, struct strbuf *text,
                      bool in_main)
{
    struct layout l = { .out = text, .start = text->n };
    uint32_t n_page = h->measure[at].n_text, next = at + 1;
    h->n_stack = 0;
    push(h, (struct frame){ .node = root, .item = -1 });
    while (h->n_stack > 0) {
        struct frame *f = &h->stack[h->n_stack - 1];
        const GumboVector *children = &f->node->v.element.children;
        if (f->child == children->length) {
            leave(&l, f, h->n_stack > 1 ? f - 1 : NULL);
            h->n_stack--;
            continue;
        }
        const GumboNode *c = children->data[f->child++];
        if (is_text(c)) {
            if (f->pre)
                layout_pre(&l, c->v.text.text);
            else
                layout_words(&l, c->v.text.text);
            continue;
        }
        if (!is_element(c))
            continue;
        struct measure m = h->measure[next];
        if (is_left_out(c, m, n_page, in_main)) {
            if (role_of(c->v.element.tag) == INLINE || role_of(c->v.element.tag) == DROP)
                l.space = true;
            else
                layout_lines(&l, 1);
            next += m.n_below;
            continue;
        }
        next++;
        struct frame child = { .node = c, .pre = f->pre };
        enter(&l, &child, f);
        if (c->v.element.tag == GUMBO_TAG_LI) {
            l.marker = true;
            l.number = f->item > 0 ? f->item++ : 0;
        }
        push(h, child);
    }
    layout_trim(&l);
}

/* The one element that the page says is its main part, if it holds enough; else the body. */
static const GumboNode *find_main(struct html *h, const GumboNode *body, uint32_t *at)
{
    const GumboNode *best = NULL, *article = NULL;
    uint32_t next = 1, best_at = 0, article_at = 0;
    int n_article = 0;
    h->n_stack = 0;
    push(h, (struct frame){ .node = body });
    while (h->n_stack > 0) {
        struct frame *f = &h->stack[h->n_stack - 1];
        const GumboVector *children = &f->node->v.element.children;
        if (f->child == children->length) {
            h->n_stack--;
            continue;
        }
        const GumboNode *c = children->data[f->child++];
        if (!is_element(c))
            continue;
        const char *role = attribute(c, "role");
        if (!best &&
            (c->v.element.tag == GUMBO_TAG_MAIN || (role && strcasecmp(role, "main") == 0))) {
            best = c;
            best_at = next;
        } else if (c->v.element.tag == GUMBO_TAG_ARTICLE && n_article++ == 0) {
            article = c;
            article_at = next;
        }
        next++;
        push(h, (struct frame){ .node = c });
    }
    if (!best && n_article == 1) {
        best = article;
        best_at = article_at;
    }
    *at = 0;
    if (!best || h->measure[best_at].n_text < MAIN_LEAST ||
        (uint64_t)h->measure[best_at].n_text * 5 < h->measure[0].n_text)
        return body;
    *at = best_at;
    return best;
}

static const GumboNode *child_with_tag(const GumboNode *n, GumboTag tag)
{
    for (unsigned i = 0; i < n->v.element.children.length; i++) {
        const GumboNode *c = n->v.element.children.data[i];
        if (is_element(c) && c->v.element.tag == tag)
            return c;
    }
    return NULL;
}

static void write_title(const GumboNode *head, struct strbuf *title)
{
    const GumboNode *t = head ? child_with_tag(head, GUMBO_TAG_TITLE) : NULL;
    struct layout l = { .out = title, .start = title->n };
    for (unsigned i = 0; t && i < t->v.element.children.length; i++) {
        const GumboNode *c = t->v.element.children.data[i];
        if (is_text(c))
            layout_words(&l, c->v.text.text);
    }
}

void html_text(struct html *h, const char *page, size_t n_bytes, struct strbuf *text,
               struct strbuf *title)
{
    GumboOutput *tree = html_is_hostile(page, n_bytes) ? NULL : parse(h, page, n_bytes);
    if (!tree) {
        html_strip(page, n_bytes, text);
        drop_blocks(h, true);
        return;
    }
    const GumboNode *body = child_with_tag(tree->root, GUMBO_TAG_BODY);
    write_title(child_with_tag(tree->root, GUMBO_TAG_HEAD), title);
    if (body) {
        uint32_t at;
        measure_all(h, body);
        const GumboNode *root = find_main(h, body, &at);
        write_all(h, root, at, text, at != 0);
    }
    drop_blocks(h, true);
}
