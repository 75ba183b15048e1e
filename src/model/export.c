/* model/export.c - rows of weights in the types of files. See export.h. */
#include "model/export.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/json.h"
#include "model/params.h"

enum { QK = 32, Q8_0_BYTES = 2 + QK, F16_INFINITE = 0x7c00, BF16_INFINITE = 0x7f80 };

size_t export_row_bytes(enum gguf_type type, int n_col)
{
    uint64_t n_elem, n_bytes;
    bool known = gguf_type_block(type, &n_elem, &n_bytes);
    assert(known && (uint64_t)n_col % n_elem == 0);
    return (size_t)((uint64_t)n_col / n_elem * n_bytes);
}

static float largest(const float *x, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

bool export_q8_0(uint8_t *out, const float *x, int n)
{
    bool fits = true;
    for (; n > 0; n -= QK, x += QK, out += Q8_0_BYTES) {
        float d = largest(x, QK) / 127;
        float inverse =
            d >= FLT_MIN ? 1 / d : 0; /* of less it may be infinite; the scale is 0 then */
        uint16_t half = float_to_f16(d);
        fits = fits && half < F16_INFINITE;
        memcpy(out, &half, sizeof half);
        for (int i = 0; i < QK; i++)
            out[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
    }
    return fits;
}

static enum st beyond(const char *name, float x, enum gguf_type type, struct err *err)
{
    return err_set(err, ST_LIMIT, "tensor '%s' holds %g, which is beyond %s", name, (double)x,
                   gguf_type_name(type));
}

enum st export_row(void *out, float *scratch, const struct weight *w, int r, enum gguf_type type,
                   const char *name, struct err *err)
{
    int n = w->n_col;
    weight_row(scratch, w, r);
    if (type == GGUF_F32) {
        memcpy(out, scratch, (size_t)n * sizeof *scratch);
    } else if (type == GGUF_Q8_0) {
        if (!export_q8_0(out, scratch, n))
            return beyond(name, largest(scratch, n), type, err);
    } else {
        uint16_t *half = out, infinite = type == GGUF_F16 ? F16_INFINITE : BF16_INFINITE;
        for (int i = 0; i < n; i++) {
            half[i] = type == GGUF_F16 ? float_to_f16(scratch[i]) : float_to_bf16(scratch[i]);
            if ((half[i] & infinite) == infinite)
                return beyond(name, scratch[i], type, err);
        }
    }
    return ST_OK;
}

void safetensors_header(struct strbuf *out, const struct params *p, const char *dtype, int n_bytes)
{
    struct js *o = js_object(), *meta = js_object();
    struct strbuf text = { 0 };
    js_put_text(meta, "format", "pt");
    js_put(o, "__metadata__", meta);
    for (size_t i = 0; i < p->n_row; i++) {
        const struct param *r = &p->row[i];
        struct js *e = js_object(), *shape = js_array(), *range = js_array();
        js_put_text(e, "dtype", dtype);
        for (int k = 0; k < r->n_dim; k++)
            js_push_whole(shape, (int64_t)r->dim[k]);
        js_put(e, "shape", shape);
        js_push_whole(range, (int64_t)r->offset * n_bytes);
        js_push_whole(range, (int64_t)(r->offset + r->n) * n_bytes);
        js_put(e, "data_offsets", range);
        js_put(o, r->name, e);
    }
    js_write(o, &text);
    while (text.n % 8) /* the data begin aligned */
        str_addc(&text, ' ');
    for (int i = 0; i < 8; i++)
        str_addc(out, (char)((uint64_t)text.n >> 8 * i));
    str_add(out, text.s, text.n);
    str_release(&text);
    js_free(o);
}
