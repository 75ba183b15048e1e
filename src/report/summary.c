/* report/summary.c - see summary.h. */
#include "report/summary.h"

#include <stdio.h>
#include <string.h>

#include "report/escape.h"
#include "report/verdict.h"

enum { SUMMARY_COLUMNS = 100, SUMMARY_LABEL = 16 };

/* Wraps at spaces; following lines stand under the first. Control characters never reach a
 * terminal. */
static void wrapped(struct strbuf *out, const char *label, const char *raw)
{
    struct strbuf text = { 0 };
    label_text(&text, raw);
    str_printf(out, "  %-*s", SUMMARY_LABEL, label);
    size_t column = SUMMARY_LABEL + 2;
    for (const char *s = text.n ? text.s : ""; *s;) {
        size_t n = strcspn(s, " \n\t");
        if (column > SUMMARY_LABEL + 2 && column + n + 1 > SUMMARY_COLUMNS) {
            str_printf(out, "\n%*s", SUMMARY_LABEL + 2, "");
            column = SUMMARY_LABEL + 2;
        } else if (column > SUMMARY_LABEL + 2) {
            str_addc(out, ' ');
            column++;
        }
        str_add(out, s, n);
        column += n;
        s += n;
        s += strspn(s, " \n\t");
    }
    str_addc(out, '\n');
    str_release(&text);
}

enum st report_summary(struct strbuf *out, const char *study_dir, const char *report_path,
                       struct err *err)
{
    struct input in;
    struct verdict v;
    enum st st = input_read(&in, study_dir, err);
    if (st < 0)
        return st;
    verdict_make(&v, &in);
    label_text(out, v.headline.s);
    str_addc(out, '\n');
    if (v.point.n)
        wrapped(out, "Where", v.point.s);
    for (size_t i = 0; i < v.n_line; i++)
        wrapped(out, v.line[i].label, v.line[i].text.s);
    if (report_path)
        wrapped(out, "Report", report_path);
    verdict_release(&v);
    input_release(&in);
    return ST_OK;
}
