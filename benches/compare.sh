#!/usr/bin/env bash
# Prints the table of docs/performance.md with today's figures: tos beside its peers, every pair interleaved in one run.
#
#   benches/compare.sh [--rounds N] [--no-build] [GROUP...]
#
# Groups: start tasks plans large checkpoint model judge build; all of them unless some are named. `build` makes a clean release
# build in a folder of its own and takes minutes; `--no-build` leaves it out. Nothing is installed: what a row needs and the
# machine lacks is said in the row. A goal that is missed is a figure; the exit code is other than 0 only where a run failed.
set -uo pipefail
cd "$(dirname "$0")/.."
rounds=21 build=1 groups=()
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
        --no-build) build=0; shift ;;
        -h | --help) sed -n '2,9p' "$0"; exit 0 ;;
        -*) echo "compare.sh: unknown option $1" >&2; exit 2 ;;
        *) groups+=("$1"); shift ;;
    esac
done
known="start tasks plans large checkpoint model judge build"
for group in "${groups[@]}"; do
    case " $known " in *" $group "*) ;; *) echo "compare.sh: unknown group $group; known are: $known" >&2; exit 2 ;; esac
done
wanted() { [ ${#groups[@]} -eq 0 ] || [[ " ${groups[*]} " == *" $1 "* ]]; }
for program in git cargo; do
    command -v "$program" >/dev/null || { echo "compare.sh: $program is not on this machine" >&2; exit 1; }
done
failed=0
said=$(mktemp); trap 'rm -f "$said"' EXIT
# Runs one of the benchmarks and prints its rows; everything else it says is for standard error.
rows() {
    if COMPARE_ROUNDS=$rounds cargo bench --quiet --bench "$@" >"$said"; then
        grep '^|' "$said" || { echo "compare.sh: no row came of: $*" >&2; failed=1; }
    else
        echo "compare.sh: this run failed: $*" >&2
        cat "$said" >&2
        failed=1
    fi
}

echo "| work | tos | peer | ratio | goal |"
echo "|---|---|---|---|---|"
own=()
for group in start tasks plans large; do if wanted "$group"; then own+=("$group"); fi; done
if [ ${#own[@]} -gt 0 ]; then rows compare -- "${own[@]}"; fi
if wanted checkpoint; then for size in S M; do rows checkpoint -- --pairs "$size"; done; fi
if wanted model; then rows model -- --pairs; fi
if wanted judge; then rows policy -- --pairs; fi
if wanted build && [ "$build" = 1 ]; then
    folder=$(mktemp -d)
    begin=$SECONDS
    if CARGO_TARGET_DIR=$folder cargo build --release --locked --quiet; then
        crates=$(cargo tree --locked -e normal,build --prefix none 2>/dev/null | sed 's/ (\*)$//' | sort -u | wc -l)
        echo "| clean release build, $(nproc) processors | $((SECONDS - begin)) s, $crates crates | | | half of 4 to 7 min |"
    else
        echo "compare.sh: the release build failed" >&2
        failed=1
    fi
    rm -rf "$folder"
elif wanted build; then
    echo "| clean release build | not measured | \`--no-build\` was given | | half of 4 to 7 min |"
fi
exit $failed
