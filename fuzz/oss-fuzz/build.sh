#!/bin/bash
# Called by OSS-Fuzz and ClusterFuzzLite in the project's folder with $CC, $CFLAGS, $CXX, $CXXFLAGS, $LIB_FUZZING_ENGINE and $OUT:
# every target into $OUT, with its seeds, its dictionary and its options. cJSON's source is in $CJSON_DIR.
set -euo pipefail
: "${CC:?}" "${CXX:?}" "${LIB_FUZZING_ENGINE:?}" "${OUT:?}"
export CFLAGS=${CFLAGS-} CXXFLAGS=${CXXFLAGS-}
CJSON_DIR=${CJSON_DIR:-${SRC:?}/cjson}

mapfile -t targets < <(make -s SYSTEM_TEST= SYSTEM_FUZZ= fuzz-oss-names) # the image has what the empty ones would install
make -s -j"$(nproc)" SYSTEM_TEST= SYSTEM_FUZZ= CJSON_DIR="$CJSON_DIR" fuzz-oss-targets

for target in "${targets[@]}"; do
    cp "build/fuzz/oss/$target" "$OUT/"
    cp fuzz/oss-fuzz/target.options "$OUT/$target.options"
    for dictionary in "fuzz/$target.dict" fuzz/guestwire.dict; do
        if [[ -e $dictionary ]]; then
            cp "$dictionary" "$OUT/$target.dict"
            break
        fi
    done
    mapfile -t seeds < <(find "fuzz/corpus/$target" "fuzz/regressions/$target" -type f 2>/dev/null)
    if ((${#seeds[@]})); then
        python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" "${seeds[@]}"
    fi
done
