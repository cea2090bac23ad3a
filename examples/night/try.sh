#!/bin/sh
# A night in a throw-away repository: four tasks, one of which cannot be done, by an agent that is a small script.
# No key, no account, nothing outside a temporary folder.
# usage: sh examples/night/try.sh [TOS]      TOS = the program; `tos` if absent
set -eu
tos=${1:-tos}
# The script goes elsewhere, so a path has to be whole.
case $tos in */*) tos=$(CDPATH='' cd -- "$(dirname -- "$tos")" && pwd)/$(basename -- "$tos") ;; esac
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
place=$(mktemp -d)
cp -R "$here/project/." "$place"
mkdir -p "$place/config"

# A new repository stands in phase 1, where nobody works alone. For trying, and only for trying, these gates let the
# lowest phase do what the highest may; the ledger keeps their digest with everything that happens under them.
sed -e 's/^unattended = false$/unattended = true/' \
    -e 's/^max_session = "0m"$/max_session = "1h"\ncheckpoint_every = 2/' \
    -e 's/^on_failure = \["stop"\]$/on_failure = ["stop", "retry_then_stop", "retry_then_skip_dependents"]/' \
    "$here/../../config/gates.toml" >"$place/config/gates.toml"

cd "$place"
git init -q -b main .
git add -A
git -c user.name=you -c user.email=you@localhost commit -q -m "the state in the evening"

say() { printf '\n$ %s\n' "$*"; }
say tos night check list.toml
"$tos" night check list.toml
say tos night start --for 30m list.toml
# 3 = some task did not pass, which is what this example shows.
"$tos" night start --for 30m list.toml </dev/null || [ $? = 3 ]
say tos night merge
"$tos" night merge
say git log --oneline
git log --oneline
printf '\nEverything lies in %s; the page: .tos/nights/*/summary.html\n' "$place"
