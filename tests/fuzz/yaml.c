/* fuzz/yaml.c - the files people write: recipes and study files. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "study/conf.h"
#include "synth/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct recipe *r;
    struct err err;
    if (recipe_parse_text(&r, "recipe.yaml", (const char *)bytes, n, &err) == ST_OK) {
        const char *vary[16] = { "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "" };
        const struct recipe_slots slots = { "a text", "a, b", 2, vary };
        struct strbuf b = { 0 };
        for (size_t i = 0; i < r->n_prompt; i++)
            recipe_render(r, &slots, r->prompt[i].user, &b);
        js_free(recipe_json(r));
        str_release(&b);
        recipe_free(r);
    }
    struct study_conf c;
    if (study_conf_read(&c, fuzz_file("study.yaml", bytes, n), &err) == ST_OK)
        js_free(study_conf_json(&c));
    study_conf_release(&c);
    return 0;
}
