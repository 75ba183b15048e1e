/* base/yaml.c - see yaml.h. The only file that knows libyaml. */
#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/mem.h"

enum { MAX_DEPTH = 32, MAX_BYTES = 1 << 20, MAX_KEYS = 1024 };

struct parse {
    yaml_parser_t parser;
    const char *name;
    struct err *err;
    const char *text;
};

/* The line of a byte: where bytes are no UTF-8 libyaml knows only that. */
static size_t line_of(const char *text, size_t at)
{
    size_t line = 1;
    for (size_t i = 0; i < at; i++)
        line += text[i] == '\n';
    return line;
}

static enum st next_event(struct parse *p, yaml_event_t *e)
{
    if (yaml_parser_parse(&p->parser, e))
        return ST_OK;
    size_t line = p->parser.error == YAML_READER_ERROR ? line_of(p->text, p->parser.problem_offset)
                                                       : p->parser.problem_mark.line + 1;
    return err_set(p->err, ST_FORMAT, "'%s' line %zu: %s", p->name, line,
                   p->parser.problem ? p->parser.problem : "not YAML");
}

static struct yml *node_new(enum yml_kind kind, const yaml_event_t *e)
{
    struct yml *v = NEW(struct yml);
    v->kind = kind;
    v->line = (int)e->start_mark.line + 1;
    return v;
}

static enum st parse_node(struct parse *p, yaml_event_t *e, int depth, struct yml **out);

/* A scalar as a terminated text; the caller frees it. */
static enum st take_text(struct parse *p, const yaml_event_t *e, char **out)
{
    const char *s = (const char *)e->data.scalar.value;
    size_t n = e->data.scalar.length;
    if (memchr(s, '\0', n))
        return err_set(p->err, ST_FORMAT, "'%s' line %zu: a text with a NUL character", p->name,
                       e->start_mark.line + 1);
    *out = xstrndup(s, n);
    return ST_OK;
}

/* Reads entries until the container's end event. */
static enum st parse_children(struct parse *p, struct yml *v, int depth)
{
    struct yml **tail = &v->child;
    for (int n_key = 0;;) {
        yaml_event_t e;
        char *key = NULL;
        enum st st = next_event(p, &e);
        if (st < 0)
            return st;
        if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&e);
            return ST_OK;
        }
        if (v->kind == YML_MAP) {
            int line = (int)e.start_mark.line + 1;
            if (e.type != YAML_SCALAR_EVENT) {
                yaml_event_delete(&e);
                return err_set(p->err, ST_FORMAT, "'%s' line %d: a key must be plain text", p->name,
                               line);
            }
            st = take_text(p, &e, &key);
            yaml_event_delete(&e);
            if (st == ST_OK && ++n_key > MAX_KEYS)
                st = err_set(p->err, ST_LIMIT, "'%s' line %d: more than %d entries in a map",
                             p->name, line, MAX_KEYS);
            else if (st == ST_OK && yml_get(v, key))
                st = err_set(p->err, ST_FORMAT, "'%s' line %d: '%s' is given twice", p->name, line,
                             key);
            if (st == ST_OK)
                st = next_event(p, &e);
            if (st < 0) {
                free(key);
                return st;
            }
        }
        st = parse_node(p, &e, depth + 1, tail);
        if (*tail)
            (*tail)->key = key;
        else
            free(key);
        if (st < 0)
            return st;
        tail = &(*tail)->next;
    }
}

/* Consumes e; *out is set even on failure when a node was begun, so that it is freed with the tree.
 */
static enum st parse_node(struct parse *p, yaml_event_t *e, int depth, struct yml **out)
{
    int line = (int)e->start_mark.line + 1;
    enum st st = ST_OK;
    if (depth > MAX_DEPTH) {
        st = err_set(p->err, ST_LIMIT, "'%s' line %d: nested deeper than %d", p->name, line,
                     MAX_DEPTH);
    } else if (e->type == YAML_SCALAR_EVENT) {
        char *text = NULL;
        st = take_text(p, e, &text);
        if (st == ST_OK) {
            *out = node_new(YML_TEXT, e);
            (*out)->text = text;
        }
    } else if (e->type == YAML_SEQUENCE_START_EVENT || e->type == YAML_MAPPING_START_EVENT) {
        *out = node_new(e->type == YAML_MAPPING_START_EVENT ? YML_MAP : YML_LIST, e);
        yaml_event_delete(e);
        return parse_children(p, *out, depth);
    } else {
        st = err_set(p->err, ST_FORMAT, "'%s' line %d: anchors and aliases are not supported here",
                     p->name, line);
    }
    yaml_event_delete(e);
    return st;
}

enum st yml_parse(struct yml **out, const char *name, const char *text, size_t n_bytes,
                  struct err *err)
{
    struct parse p = { .name = name, .err = err, .text = text };
    yaml_event_t e;
    *out = NULL;
    if (!yaml_parser_initialize(&p.parser))
        return err_set(err, ST_FORMAT, "'%s': the YAML parser could not start", name);
    yaml_parser_set_input_string(&p.parser, (const unsigned char *)text, n_bytes);
    enum st st = ST_OK;
    for (bool done = false; st == ST_OK && !done;) {
        st = next_event(&p, &e);
        if (st < 0)
            break;
        switch (e.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            yaml_event_delete(&e);
            break;
        case YAML_STREAM_END_EVENT:
            yaml_event_delete(&e);
            done = true;
            break;
        default:
            if (*out) {
                st = err_set(err, ST_FORMAT, "'%s' line %zu: a second document, want one", name,
                             e.start_mark.line + 1);
                yaml_event_delete(&e);
            } else {
                st = parse_node(&p, &e, 0, out);
            }
        }
    }
    yaml_parser_delete(&p.parser);
    if (st == ST_OK && !*out)
        st = err_set(err, ST_FORMAT, "'%s' is empty", name);
    if (st < 0) {
        yml_free(*out);
        *out = NULL;
    }
    return st;
}

enum st yml_read(struct yml **out, const char *path, struct err *err)
{
    struct strbuf text = { 0 };
    *out = NULL;
    enum st st = file_read(path, MAX_BYTES, &text, err);
    if (st == ST_OK)
        st = yml_parse(out, path, text.s, text.n, err);
    str_release(&text);
    return st;
}

void yml_free(struct yml *v)
{
    while (v) {
        struct yml *next = v->next;
        yml_free(v->child);
        free((char *)(uintptr_t)v->key);
        free((char *)(uintptr_t)v->text);
        free(v);
        v = next;
    }
}

const struct yml *yml_get(const struct yml *map, const char *key)
{
    if (!map || map->kind != YML_MAP)
        return NULL;
    for (const struct yml *v = map->child; v; v = v->next)
        if (v->key && strcmp(v->key, key) == 0)
            return v;
    return NULL;
}

const char *yml_text(const struct yml *map, const char *key, const char *otherwise)
{
    const struct yml *v = yml_get(map, key);
    return v && v->kind == YML_TEXT ? v->text : otherwise;
}

size_t yml_len(const struct yml *v)
{
    size_t n = 0;
    for (const struct yml *c = v ? v->child : NULL; c; c = c->next)
        n++;
    return n;
}

struct js *yml_json(const struct yml *v)
{
    if (v->kind == YML_TEXT)
        return js_text(v->text);
    struct js *out = v->kind == YML_MAP ? js_object() : js_array();
    for (const struct yml *c = v->child; c; c = c->next) {
        if (v->kind == YML_MAP)
            js_put(out, c->key, yml_json(c));
        else
            js_push(out, yml_json(c));
    }
    return out;
}
