/* tests/report/fixture.c - see fixture.h. */
#include "fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/str.h"
#include "law/advise.h"
#include "law/summary.h"
#include "run/table.h"

/* Planted laws: L = E + A/N^alpha + B/D^beta, with a shift for each arm that grows with D. */
struct arm {
    const char *arm, *kind;
    double share, b, e; /* factor on B, shift of E */
    uint64_t first_seed;
    int control; /* at the largest size only */
};
static const struct arm arms[] = {
    { "natural", "natural", 0, 1, 0, 1, 0 },
    { "hq@0.33", "hq", 0.33, 0.955, -0.02, 1, 0 },
    { "hq@1", "hq", 1, 1.06, 0.06, 1, 0 },
    { "qa@0.33", "qa", 0.33, 0.985, 0.005, 1, 0 },
    { "qa@1", "qa", 1, 1.12, 0.19, 1, 0 },
    { "aa", "natural", 0, 1, 0, 101, 1 },
    { "copy@0.33", "copy", 0.33, 0.99, 0.01, 1, 1 },
    { "shuffle@1", "shuffle", 1, 1.35, 0.11, 1, 1 },
};
static const uint64_t sizes[] = { 400000, 1000000, 2500000 },
                      budgets[] = { 1000000, 3000000, 9000000 };
static const char *const domains[] = { "manuals",   "news", "encyclopedia",
                                       "questions", "code", "fiction" };
static const double domain_shift[] = { -0.3, 0.1, 0.05, 0.2, -0.6, 0.45 };
enum { SEEDS = 2, VOCAB = 4096, D_MODEL = 128 };

static const char hostile[] =
    "<script>document.title='owned';window.owned=1</script><img src=x "
    "onerror=\"document.title='owned'\"></script><!--<script> javascript:alert(1) "
    "\xE2\x80\xAE"
    "desrever\xE2\x80\xAC & \"quoted\" 'single' </textarea></title>\x1B[31m";

static double planted(const struct arm *a, double n, double d)
{
    return 1.7 + a->e + 40 / pow(n, 0.27) + a->b * 260 / pow(d, 0.36);
}

static enum st write_text(const char *dir, const char *name, const char *text, struct err *err)
{
    char *path = path_join(dir, name);
    enum st st = file_write(path, text, strlen(text), err);
    free(path);
    return st;
}

static enum st write_json(const char *dir, const char *name, struct js *v, struct err *err)
{
    char *path = path_join(dir, name);
    enum st st = js_write_file(v, path, err);
    js_free(v);
    free(path);
    return st;
}

static struct js *parse(const char *text)
{
    struct js *v = NULL;
    struct err err = { "" };
    if (js_parse(&v, text, strlen(text), &err) < 0) {
        fprintf(stderr, "fixture: %s in %.60s\n", err.msg, text);
        abort();
    }
    return v;
}

/* ---- the table of runs ---- */

struct runs {
    struct run_record *rec;
    struct run_domain *domain; /* N_OF(domains) a run */
    char (*id)[64];
    size_t n;
};

static void add_run(struct runs *r, const struct arm *a, uint64_t n, uint64_t d, uint64_t seed,
                    const char *domain_name)
{
    struct rng rng;
    rng_init(&rng, seed, a->arm, n + d);
    struct run_record *rec = &r->rec[r->n];
    struct run_domain *dom = r->domain + r->n * N_OF(domains);
    double loss = planted(a, (double)n, (double)d) * (1 + 0.002 * rng_normal(&rng)), sum = 0;
    for (size_t k = 0; k < N_OF(domains); k++) {
        double style = strcmp(a->kind, "qa") == 0 && k == 3 ? -0.08 : 0;
        double v = loss + domain_shift[k] + style + 0.004 * rng_normal(&rng);
        dom[k] = (struct run_domain){ domains[k], v, v / 2.9, 20000, 60000 };
        sum += v;
    }
    if (domain_name)
        dom[0].name = domain_name;
    snprintf(r->id[r->n], sizeof r->id[0], "%s/n%lluk-s%llu/%llu", a->arm,
             (unsigned long long)n / 1000, (unsigned long long)seed, (unsigned long long)d);
    *rec = (struct run_record){ .run_id = r->id[r->n],
                                .arm = a->arm,
                                .kind = a->kind,
                                .schedule = "wsd",
                                .backend = "cpu",
                                .frac_synth = a->share,
                                .n_param = n + 2 * VOCAB * D_MODEL,
                                .n_param_nonemb = n,
                                .n_tok = d,
                                .n_tok_unique_natural = (uint64_t)((1 - a->share) * (double)d),
                                .n_tok_unique_synth = (uint64_t)(a->share * (double)d / 2),
                                .n_epoch_natural = 1,
                                .n_epoch_synth = a->share > 0 ? 2 : 0,
                                .flop = 6.0 * (double)n * (double)d,
                                .lr = 0.002,
                                .seed = seed,
                                .batch_tokens = 1024,
                                .seq_len = 256,
                                .vocab_size = VOCAB,
                                .loss = sum / N_OF(domains),
                                .bpb = sum / N_OF(domains) / 2.9,
                                .wall_s = 12 + 6.0 * (double)n * (double)d / 2e11,
                                .tok_per_s = 30000,
                                .domain = dom,
                                .n_domain = N_OF(domains) };
    r->n++;
}

/* What the report reads of a run's own folder: a tenth of its steps are its branch's. */
static enum st write_run_json(const char *dir, const struct run_record *r, struct err *err)
{
    struct strbuf sub = { 0 };
    struct js *v = js_object(), *settings = js_object();
    str_printf(&sub, "%s/runs/%s", dir, r->run_id);
    js_put_whole(settings, "n_step", (int64_t)(r->n_tok / 1000));
    js_put_whole(settings, "branch_step", (int64_t)(r->n_tok / 1000 - r->n_tok / 10000));
    js_put(v, "settings", settings);
    enum st st = dir_make(sub.s, err);
    if (st == ST_OK)
        st = write_json(sub.s, "run.json", v, err);
    else
        js_free(v);
    str_release(&sub);
    return st;
}

static enum st write_runs(const char *dir, bool evil, struct err *err)
{
    size_t max = N_OF(arms) * N_OF(sizes) * N_OF(budgets) * SEEDS + 1;
    struct runs r = { calloc(max, sizeof(struct run_record)),
                      calloc(max * N_OF(domains), sizeof(struct run_domain)), calloc(max, 64), 0 };
    struct arm bad = { hostile, hostile, 0.33, 0.97, 0, 1, 0 };
    for (size_t a = 0; a < N_OF(arms); a++)
        for (size_t i = 0; i < N_OF(sizes); i++)
            for (size_t k = 0; k < N_OF(budgets); k++)
                for (uint64_t s = 0; s < SEEDS; s++)
                    if (!arms[a].control || i + 1 == N_OF(sizes))
                        add_run(&r, evil && a == 3 ? &bad : &arms[a], sizes[i], budgets[k],
                                arms[a].first_seed + s, evil ? hostile : NULL);
    r.rec[r.n - 1].diverged = true; /* one run of the shuffled words fell over */
    r.rec[r.n - 1].loss = r.rec[r.n - 1].bpb = NAN;
    const struct run_record **list = calloc(max, sizeof *list);
    for (size_t i = 0; i < r.n; i++)
        list[i] = &r.rec[i];
    char *path = path_join(dir, "runs.csv");
    enum st st = run_table_write(path, list, r.n, err);
    for (size_t i = 0; i < r.n && st == ST_OK && !evil; i++)
        st = write_run_json(dir, list[i], err);
    free(path);
    free(list);
    free(r.rec);
    free(r.domain);
    free(r.id);
    return st;
}

/* ---- plan, laws, advice ---- */

static enum st write_plan(const char *dir, const char *name, struct err *err)
{
    struct js *plan = parse(
        "{\"study\":\"\",\"settings\":{\"natural\":{\"paths\":[\"starter/"
        "train\"],\"clean\":\"none\"},"
        "\"kinds\":{\"hq\":\"hq\",\"qa\":\"qa\"},\"generator\":{\"local\":\"smollm2-135m-instruct-"
        "q4_1."
        "gguf\"},\"hold_out\":{\"budget\":true,\"model\":true}},\"models\":[400000,1000000,2500000]"
        ","
        "\"budgets\":[1000000,3000000,9000000],\"shares\":[0,0.33,1],\"seeds\":2,\"vocab_size\":"
        "4096,"
        "\"seq_len\":256,\"batch_tokens\":1024,\"schedule\":\"wsd, one trunk for all budgets\","
        "\"decision\":{\"n_param_nonemb\":2500000,\"n_tok\":9000000,\"level\":0.95,\"threshold\":0."
        "01,"
        "\"correction\":\"Holm\"},\"expected\":{\"runs\":108,\"trunks\":36,\"tokens\":156000000,"
        "\"smallest_effect\":0.021},\"warnings\":[\"2 seeds see differences of about 0.02 "
        "nats/token at "
        "best\",\"V d > N at N = 400k: half of this model is embedding\"]}");
    js_put_text(plan, "study", name);
    return write_json(dir, "plan.json", plan, err);
}

/* Laws and advice are what the law folder makes of the table, as in a real study. */
static enum st write_conclusions(const char *dir, struct err *err)
{
    struct table t;
    struct summary_conf conf = { .hold_out = "n_tok == max && n_param_nonemb == max",
                                 .group = "run_id",
                                 .fit = fit_conf_default() };
    struct advise_cost cost[] = { { "hq", 612000, 431000, NAN }, { "qa", 640000, 398000, NAN } };
    struct advise_conf ask = { .price_in = 0.05,
                               .price_out = 0.2,
                               .gpu_hour = 2,
                               .seed = 1,
                               .cost = cost,
                               .n_cost = N_OF(cost) };
    struct js *fits = js_array(), *advice = NULL;
    enum st st = table_read(&t, dir, err);
    if (st < 0) {
        js_free(fits);
        return st;
    }
    conf.fit.n_boot = 200;
    st = summary_fit(fits, &t, &conf, err);
    if (st == ST_OK)
        st = write_json(dir, "fits.json", fits, err);
    else
        js_free(fits);
    if (st == ST_OK)
        st = advise(&advice, &t, &ask, err);
    if (st == ST_OK)
        st = write_json(dir, "advice.json", advice, err);
    table_release(&t);
    return st;
}

/* ---- kinds ---- */

static const char page[] =
    "tar saves many files together into a single archive, and can restore individual files from "
    "the "
    "archive. The first argument should be one of the options -A, -c, -d, -r, -t, -u or -x.\n\nBy "
    "default tar does not compress; with -z the archive is filtered through gzip. See also "
    "gzip(1), "
    "bzip2(1), xz(1). BUGS: reports go to the mailing list.";
static const char rewritten[] = "Tar is a program that combines many files into one archive and "
                                "can take single files out of it "
                                "again. The operation is chosen by the first option: creating, "
                                "listing, appending to, updating or "
                                "extracting from an archive.\n\nArchives are not compressed unless "
                                "this is requested; the option "
                                "-z, for example, passes the archive through gzip.";
static const char meta_talk[] = "The passage describes the tar program. The author explains that "
                                "the passage is about archives. "
                                "The passage is about archives. The passage is about archives.";

static void push_sample(struct js *list, const char *source, const char *output,
                        const char *verdict)
{
    struct js *s = js_object();
    js_put_text(s, "id", "manuals/tar.1");
    js_put_text(s, "source", source);
    js_put_text(s, "output", output);
    js_put_text(s, "verdict", verdict);
    js_push(list, s);
}

static enum st write_kind(const char *dir, const char *kind, bool evil, struct err *err)
{
    struct strbuf sub = { 0 };
    bool hq = strcmp(kind, "hq") == 0;
    str_printf(&sub, "%s/kinds/%s", dir, kind);
    enum st st = dir_make(sub.s, err);
    struct js *m = parse(
        hq ? "{\"stage\":\"synth\",\"version\":1,\"settings\":{\"recipe\":\"hq\",\"temperature\":0."
             "7,"
             "\"top_p\":0.9},\"counts\":{\"row\":{\"requests\":1480,\"docs_out\":1012,"
             "\"tokens_prompt\":612000,\"kept_tokens\":401234,\"kept_tokens_synthetic\":301235,"
             "\"tokens_out\":431000,\"kept\":1012,\"dropped\":{\"meta_"
             "talk\":241,"
             "\"truncated\":120,\"loop\":31,\"copy\":58,\"too_short\":18},\"tok_per_s\":412.5,"
             "\"generate_s\":1045.2,\"cost\":null},\"too_weak\":false,\"too_weak_reasons\":[],"
             "\"collapse\":[\"variant 'after' collapsed <early>\"],\"diversity\":{\"all\":{"
             "\"texts\":1480,\"mean\":{\"same_opening\":0.0625,\"distinct_1\":0.31,"
             "\"distinct_2\":0.77,\"distinct_3\":0.93,\"compression\":2.4,\"self_similar\":0.02}}},"
             "\"rates\":{\"n\":1480,"
             "\"raw\":{\"length\":0.31,\"meta_talk\":0.16,\"loop\":0.02,\"copy\":0.04,\"refusal\":"
             "0,"
             "\"prompt_leak\":0.01,\"copied_5grams\":0.14,\"source_kept\":0.48,\"names_kept\":0."
             "57,\"numbers_kept\":0.42}},\"variants\":{\"paraphrase\":{\"n\":980,\"raw\":{"
             "\"names_kept\":0.613}},\"system\":{\"n\":500,\"raw\":{\"names_kept\":0.487}}}},"
             "\"wall_s\":41.5}"
           : "{\"stage\":\"synth\",\"version\":1,\"settings\":{\"recipe\":\"qa\",\"temperature\":0."
             "7,"
             "\"top_p\":0.9},\"counts\":{\"row\":{\"requests\":1480,\"docs_out\":640,"
             "\"tokens_prompt\":640000,\"tokens_out\":398000,\"kept\":640,\"dropped\":{\"format\":"
             "510,"
             "\"loop\":190,\"source_lost\":140},\"tok_per_s\":401.1,\"cost\":null},\"too_weak\":"
             "true,"
             "\"too_weak_reasons\":[\"57 % of the answers were dropped (at most 50 "
             "%)\"],\"rates\":{"
             "\"n\":1480,\"raw\":{\"length\":0.97,\"meta_talk\":0.08,\"loop\":0.19,\"copy\":0.01,"
             "\"refusal\":0.01,\"prompt_leak\":0.1,\"copied_5grams\":0.09,\"source_kept\":0.14}}},"
             "\"wall_s\":992.8}");
    struct js *samples = js_array();
    push_sample(samples, page, rewritten, "kept");
    push_sample(samples, page, meta_talk, "meta_talk");
    push_sample(samples, page, rewritten, "kept");
    if (evil)
        for (int i = 0; i < 2; i++)
            push_sample(samples, hostile, hostile, hostile);
    if (st == ST_OK)
        st = write_json(sub.s, "manifest.json", m, err);
    else
        js_free(m);
    if (st == ST_OK)
        st = write_json(sub.s, "samples.json", samples, err);
    else
        js_free(samples);
    str_release(&sub);
    return st;
}

/* Cuts each JSON file in the middle and spoils a number. */
static enum st spoil(const char *dir, struct err *err)
{
    static const char *const name[] = { "plan.json", "fits.json", "advice.json",
                                        "kinds/hq/samples.json", "kinds/qa/manifest.json" };
    enum st st = ST_OK;
    for (size_t i = 0; i < N_OF(name) && st == ST_OK; i++) {
        struct strbuf b = { 0 };
        char *path = path_join(dir, name[i]);
        st = file_read(path, 1 << 20, &b, err);
        if (st == ST_OK)
            st = file_write(path, b.s, b.n / 2, err);
        str_release(&b);
        free(path);
    }
    return st == ST_OK ? write_text(dir, "runs.csv", "run_id,loss,n_tok\na,3,\"1\nb,x", err) : st;
}

enum st fixture_make(const char *what, const char *dir, struct err *err)
{
    bool evil = strcmp(what, "hostile") == 0, planned = strcmp(what, "planned") == 0;
    enum st st = dir_make(dir, err);
    if (st < 0 || strcmp(what, "empty") == 0)
        return st;
    st = write_plan(dir, evil ? hostile : "manuals, two kinds", err);
    if (planned || st < 0)
        return st;
    if ((st = write_runs(dir, evil, err)) < 0 || (st = write_conclusions(dir, err)) < 0 ||
        (st = write_kind(dir, "hq", evil, err)) < 0 || (st = write_kind(dir, "qa", evil, err)) < 0)
        return st;
    return strcmp(what, "broken") == 0 ? spoil(dir, err) : ST_OK;
}
