/* fuzz/html.c - a page to its text, parsed and merely stripped of its tags. */
#include <stdlib.h>

#include "corpus/html.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct html *h; /* kept from page to page, as readers do */
    struct strbuf page = { 0 }, text = { 0 }, title = { 0 };
    if (!h)
        h = html_new();
    utf8_repair(&page, (const char *)bytes, n);
    html_text(h, page.s, page.n, &text, &title);
    if (utf8_valid(text.s, text.n) != text.n || utf8_valid(title.s, title.n) != title.n)
        abort();
    str_clear(&text);
    html_strip(page.s, page.n, &text);
    if (utf8_valid(text.s, text.n) != text.n)
        abort();
    str_release(&page);
    str_release(&text);
    str_release(&title);
    return 0;
}
