/* corpus/batch.c - see batch.h. */
#include "corpus/batch.h"

#include <stdlib.h>

static const char *kept(struct arena *a, const char *s)
{
    return s ? arena_strdup(a, s) : NULL;
}

void doc_batch_add(struct doc_batch *b, const struct doc *d)
{
    GROW(b->doc, b->n, b->cap);
    b->doc[b->n] = (struct batch_doc){ .doc = *d };
    struct doc *own = &b->doc[b->n++].doc;
    own->id = kept(&b->arena, d->id);
    own->text = arena_strndup(&b->arena, d->text, d->n_bytes);
    own->source = kept(&b->arena, d->source);
    own->url = kept(&b->arena, d->url);
    own->title = kept(&b->arena, d->title);
    own->meta = d->meta ? js_copy(d->meta) : NULL;
    b->n_bytes += d->n_bytes;
}

void doc_batch_clear(struct doc_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        js_free((struct js *)(uintptr_t)b->doc[i].doc.meta);
    arena_release(&b->arena);
    b->n = b->n_bytes = 0;
}

void doc_batch_release(struct doc_batch *b)
{
    doc_batch_clear(b);
    free(b->doc);
    *b = (struct doc_batch){ 0 };
}
