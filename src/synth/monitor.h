/*
 * synth/monitor.h - watches for collapse while a recipe is asked: by prompt variant and of all.
 *
 * Texts (answers after parsing, before any verdict) are shown in the order of the plan. A variant
 * is measured (synth/diversity.h) whenever its window is full and half of it is new, and so are all
 * texts together whenever all of it is; where a measure of a variant passes a limit of the recipe's
 * `collapse`, the variant has collapsed:
 *
 *     action: rotate    its later pieces are asked under the other variants (where a recipe asks
 *                       every piece under all of them: not asked)
 *     action: stop      its later pieces are not asked
 *     action: warn      it is said once, nothing else
 *
 * Pages that are edited (recipe_edits) are measured only.
 *
 * Why a stop and a resume change nothing: what has collapsed, and from which piece on, follows from
 * the answers before that piece in the plan's order and from nothing else, neither from when they
 * came nor from how many were in flight. Nothing needs to be recorded: asking and settling each
 * walk the plan with a monitor of their own and come to the same. Asking shows an answer when all
 * before it are there; what was asked ahead of a decision under a variant that had collapsed by
 * then stays in the ledger, is not used, and the piece is asked again under another one. A request
 * that failed for good counts as not there.
 *
 * Threads: none.
 */
#ifndef MIXLAW_SYNTH_MONITOR_H
#define MIXLAW_SYNTH_MONITOR_H

#include "base/str.h"
#include "synth/diversity.h"
#include "synth/recipe.h"

struct monitor;
struct monitor *monitor_new(const struct recipe *r);
void monitor_free(struct monitor *m); /* NULL is fine */

/* The next text of the plan; an empty one is passed over. True when its variant was stopped now. */
bool monitor_add(struct monitor *m, int variant, const char *text, size_t n_bytes,
                 struct arena *scratch);

/* By variant: not to be asked any more. */
const bool *monitor_stopped(const struct monitor *m);
bool monitor_all_stopped(const struct monitor *m);

/* What collapsed, a sentence each, in order. */
const struct strlist *monitor_said(const struct monitor *m);

/* {texts windows mean{} worst{} last{} words[]} of all texts (variant -1) or of a variant. Under
 * one window, the three are of what there is. words: texts by length, powers of two. */
struct js *monitor_json(const struct monitor *m, int variant, struct arena *scratch);

#endif
