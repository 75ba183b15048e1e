#!/bin/bash
# Opens the pages of made-up studies (tests/report/fixture.h) in headless Chromium: see page.py.
set -euo pipefail
: "${MIXLAW:?}" "${BUILD:?}"
type python3 >/dev/null 2>&1 || { echo "skipped: no python3 here"; exit 77; }
type chromium >/dev/null 2>&1 || { echo "skipped: no chromium here; install it to open the report in a browser"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for what in full hostile empty planned broken; do
    "$BUILD/tests/test_report" --make "$what" "$dir/$what"
    "$MIXLAW" report "$dir/$what" >/dev/null
done
python3 tests/browser/page.py --expect-figures 8 "$dir/full/report.html" "$dir/hostile/report.html"
python3 tests/browser/page.py --expect-figures 0 "$dir/empty/report.html" "$dir/planned/report.html"
python3 tests/browser/page.py "$dir/broken/report.html"
