#!/bin/bash
# Time is measured in base/log.c alone, by a clock that nobody can set: a wall clock that jumps moves no limit,
# pause, budget or duration. Who wants the date says so here.
set -euo pipefail
wall='CLOCK_REALTIME|gettimeofday|[^_a-z]time\((NULL|&|0)|localtime|gmtime|std::chrono'
found=$(grep -rnE "$wall" src --include='*.c' --include='*.h' --include='*.cu' | grep -v '^src/train/train\.c:' || true) # TensorBoard wants the date
[ -z "$found" ] || { echo "a wall clock is asked:"; echo "$found"; exit 1; }
found=$(grep -rnE 'clock_gettime' src --include='*.c' --include='*.h' --include='*.cu' | grep -vE '^src/(base/log|train/train)\.c:' || true)
[ -z "$found" ] || { echo "a clock beside clock_s() and clock_cpu_s():"; echo "$found"; exit 1; }
grep -q 'clock_gettime(CLOCK_MONOTONIC' src/base/log.c || { echo "clock_s() asks another clock"; exit 1; }
