#!/bin/bash
# Who may include whom: the ladder of docs/ARCHITECTURE.md, read from the sources. Also: dependencies
# stay behind one file each, and nothing outside base/ and cli/ prints to stdout.
set -euo pipefail
status=0
fail() { echo "$*"; status=1; }

declare -A may=(
    [base]="base" [corpus]="base" [tok]="base" [net]="base" [backend]="base" [law]="base" [run]="base"
    [data]="base corpus tok" [model]="base backend tok"
    [eval]="base data model backend tok" [synth]="base net corpus tok model backend"
    [train]="base data model backend eval run tok" [study]="base run law" [report]="base run law corpus"
    [cli]="base corpus tok net backend law run data model eval synth train study report"
)
n=0
for dir in src/*/; do
    folder=$(basename "$dir")
    [[ ${may[$folder]+there} ]] || { fail "src/$folder is not on the ladder"; continue; }
    while IFS=: read -r file line text; do
        n=$((n + 1))
        target=${text#*\"} target=${target%%\"*}
        [[ $target == */* ]] || { fail "$file:$line: includes \"$target\"; headers are named from src/"; continue; }
        from=${target%%/*}
        [[ $from == "$folder" || " ${may[$folder]} " == *" $from "* ]] ||
            fail "$file:$line: $folder/ may not include $target"
    done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include "' "$dir" --include='*.c' --include='*.h' --include='*.cu' || test $? = 1)
done
((n > 50)) || fail "only $n includes were found: the test itself is broken"

one_file() { # header, the files that may know it
    local found
    found=$( (grep -rlE "#[[:space:]]*include <$1>" src || test $? = 1) | sort | tr '\n' ' ')
    [[ $found == "$2 " || -z $found ]] || fail "<$1> is known to '$found', want '$2' alone"
}
one_file jansson.h src/base/json.c
one_file yaml.h src/base/yaml.c
one_file zlib.h src/base/stream.c
one_file zstd.h src/base/stream.c
one_file xxhash.h src/base/hash.c
one_file gumbo.h src/corpus/html.c
one_file curl/curl.h src/net/easy.h # net.c and download.c are its two halves
one_file sqlite3.h src/run/index.c

while IFS= read -r hit; do
    fail "$hit: only cli/ prints results"
done < <(grep -rnE '(^|[^a-z_])(printf|puts|putchar)\(|, stdout\)' src --include='*.c' | grep -vE '^src/(cli|base)/|snprintf|fprintf' || test $? = 1)

exit $status
