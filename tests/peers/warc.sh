#!/bin/bash
# Web archives read by us, by warcio and by FastWARC: the same records and texts.
# Needs $BUILD/peers/venv (or $MIXLAW_PEERS) and the development data; skips aloud without.
set -u
python=${MIXLAW_PEERS:-${BUILD:?}/peers/venv}/bin/python
data=${MIXLAW_DATA:-../shared/data}/natural
files=("${MIXLAW_SOURCE:-.}"/tests/golden/corpus/{plain.wet,members.wet.gz,pages.warc})
if ! "$python" -c 'import warcio, fastwarc' 2>/dev/null; then
    echo "skipped: no Python with warcio and fastwarc at $python"
    exit 77
fi
if [ -d "$data/warc" ]; then
    files+=("$data"/warc/*.warc* "$data/natural-00005.warc.wet.gz")
else
    echo "no folder $data (set MIXLAW_DATA): only our own small samples are compared"
fi
exec "$python" tests/peers/warc_peers.py "${MIXLAW:?}" "${files[@]}"
