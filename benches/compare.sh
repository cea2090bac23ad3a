#!/usr/bin/env bash
# Compares tos with its peers, side by side in one run, and prints ratios of medians. Nothing is asserted:
# machines differ and drift; the ratios are what counts. Needs git. Usage: benches/compare.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-21}
cargo build --release --quiet
tos=${CARGO_TARGET_DIR:-target}/release/tos
case $tos in /*) ;; *) tos=$PWD/$tos ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Runs a command and prints its wall time in microseconds; what it prints and how it ends do not matter.
timed() {
    local start=$EPOCHREALTIME
    "$@" >/dev/null 2>&1 </dev/null || true
    local end=$EPOCHREALTIME
    echo $(((10#${end/./}) - (10#${start/./})))
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# pair LABEL TARGET A... -- B...: alternates the two, then prints both medians and A/B.
pair() {
    local label=$1 target=$2; shift 2
    local a=() b=()
    while [ "$1" != -- ]; do a+=("$1"); shift; done
    shift; b=("$@")
    : >"$work/a"; : >"$work/b"
    timed "${a[@]}" >/dev/null; timed "${b[@]}" >/dev/null
    for _ in $(seq "$rounds"); do
        timed "${a[@]}" >>"$work/a"; timed "${b[@]}" >>"$work/b"
    done
    local ma mb; ma=$(median <"$work/a"); mb=$(median <"$work/b")
    awk -v l="$label" -v t="$target" -v a="$ma" -v b="$mb" \
        'BEGIN { printf "%-44s %9d us %9d us   %6.2f   (target %s)\n", l, a, b, a / b, t }'
}

# A root whose first model call kills tos: what is left is the time to the first effect.
first=$work/first; mkdir -p "$first/config"
cat >"$first/config/config_v0_3.json" <<'JSON'
{ "done_condition": { "all": [{ "file": "never", "exists": true }] },
  "models": { "draft": { "provider": "command", "argv": ["sh", "-c", "kill -9 $PPID"] },
              "review": { "provider": "command", "argv": ["true"] }, "final": { "provider": "command", "argv": ["true"] } } }
JSON
first_effect() { rm -rf "$first/logs" "$first/workspace"; "$tos" --mode run --root "$first"; }
bare_kill() { sh -c 'exit 0'; git --version; }

# A root that replays STEPS steps without commands.
replay() { # DIR STEPS
    mkdir -p "$1/config"
    : >"$1/replies.jsonl"
    for turn in $(seq 0 $(($2 - 1))); do
        for pair in 'draft|{\"thought\": \"\", \"commands\": []}' 'review|{\"review\": \"\", \"improved_commands\": [], \"approval\": true}' 'final|{\"final_commands\": [], \"summary\": \"\"}'; do
            printf '{"version":1,"job":1,"role":"%s","turn":%d,"text":"%s"}\n' "${pair%%|*}" "$turn" "${pair#*|}" >>"$1/replies.jsonl"
        done
    done
    local role='{ "provider": "replay", "replay_file": "replies.jsonl" }'
    printf '{ "max_steps": %d, "done_condition": { "all": [{ "file": "never", "exists": true }] }, "models": { "draft": %s, "review": %s, "final": %s } }\n' \
        "$2" "$role" "$role" "$role" >"$1/config/config_v0_3.json"
}
replay "$work/one" 1; replay "$work/many" 51
steps() { rm -rf "$1/logs" "$1/workspace"; "$tos" --mode run --root "$1"; }

printf '%-44s %12s %12s   %6s\n' what tos peer ratio
pair "start-up: tos --version / git --version" "<= 1.5" "$tos" --version -- git --version
pair "first effect / git --version" "<= 4" first_effect -- bare_kill
: >"$work/o"; : >"$work/m"
for _ in $(seq 7); do timed steps "$work/one" >>"$work/o"; timed steps "$work/many" >>"$work/m"; done
awk -v o="$(median <"$work/o")" -v m="$(median <"$work/m")" \
    'BEGIN { printf "%-44s %9.0f us %28s(target <= 5000 us)\n", "one replayed step, everything durable", (m - o) / 50, "" }'
steps "$work/many" >/dev/null 2>&1 </dev/null || true
if [ -x /usr/bin/time ]; then
    rm -rf "$work/many/logs" "$work/many/workspace"
    /usr/bin/time -f %M -o "$work/rss" "$tos" --mode run --root "$work/many" >/dev/null 2>&1 || true
    awk 'END { printf "%-44s %9.1f MiB %27s(target <= 25 MiB)\n", "resident memory of such a run", $1 / 1024, "" }' "$work/rss"
fi

# Checkpoints and rollback against git, 200 and 10,000 files (`--pairs L` = 50,000).
for size in S M; do cargo bench --quiet --bench checkpoint -- --pairs "$size"; done

# Plans against bare process creation, make and ninja.
cargo bench --quiet --bench plan
