#!/bin/bash
# Replays real small commits through the validators and lists what is refused, by kind.
#
#   benches/replay.sh TOS REPOSITORY [COUNT]     the newest COUNT commits (default 50) that change at most 300 lines
#   benches/replay.sh TOS --series FOLDER        a source tree with a patch series (`debian/patches/series`): each patch that
#                                                applies becomes a commit of a repository of its own, and is replayed
#
# TOS is the built program. Nothing is changed: the work is done in a copy below a temporary folder. A line for each refusal:
# the commit's subject, the file, the kind, the sentence; then how often each kind came up. Without a task list no limit of
# size holds, so what is listed is what the validators say about the code.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,11p' "$0" >&2; exit 2; }
tos=$(realpath "$1"); shift
copy=$(mktemp -d); trap 'rm -rf "$copy"' EXIT
export GIT_AUTHOR_NAME=replay GIT_AUTHOR_EMAIL=replay@localhost GIT_COMMITTER_NAME=replay GIT_COMMITTER_EMAIL=replay@localhost
export GIT_CONFIG_GLOBAL=/dev/null HOME="$copy/home"; mkdir -p "$HOME"

from_series() {
    local source=$1 name patch subject
    cp -r "$source" "$copy/work"; cd "$copy/work"
    rm -rf .git .pc; name=$(basename "$source")
    git init -q; git add -fA; git commit -qm "$name: as released"
    git -C . rev-parse HEAD > "$copy/first"
    while read -r patch _; do
        case $patch in ''|'#'*) continue ;; esac
        if git apply --index --whitespace=nowarn "debian/patches/$patch" 2>/dev/null; then
            subject=$(sed -n 's/^\(Subject\|Description\): *//p' "debian/patches/$patch" | head -1)
            git commit -qm "$name: ${subject:-$patch} [$patch]"
        fi
    done < debian/patches/series
    git rev-list --reverse "$(cat "$copy/first")..HEAD" > "$copy/commits"
}

from_repository() {
    git clone -q "$1" "$copy/work"; cd "$copy/work"
    git rev-list --no-merges HEAD | while read -r commit; do
        git rev-parse -q --verify "$commit^" > /dev/null || continue
        lines=$(git diff --numstat "$commit^" "$commit" | awk '{n += $1 + $2} END {print n + 0}')
        if [ "$lines" -le 300 ]; then echo "$commit"; fi
    done | head -n "${2:-50}" > "$copy/commits" || true
}

if [ "$1" = --series ]; then from_series "$2"; else from_repository "$@"; fi

replayed=0 refused=0; : > "$copy/kinds"
while read -r commit; do
    git checkout -qf --detach "$commit^"; git clean -qfdx
    git read-tree -m -u "$commit"
    replayed=$((replayed + 1))
    if ! "$tos" --json judge-change > "$copy/said" 2> "$copy/error"; then
        refused=$((refused + 1))
        subject=$(git log -1 --format=%s "$commit")
        jq -r --arg subject "$subject" '.findings[]? | select(.weight == "failure")
            | [$subject, "\(.path):\(.line)", .group, .what] | @tsv' "$copy/said" \
            | tee -a "$copy/kinds"
        [ -s "$copy/said" ] || { echo "no answer for $commit: $(head -1 "$copy/error")" >&2; exit 1; }
    fi
    git reset -q --hard
done < "$copy/commits"

echo "replayed $replayed, refused $refused"
cut -f3 "$copy/kinds" | sort | uniq -c | sort -rn
