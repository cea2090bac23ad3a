#!/bin/sh
# The service in a throw-away repository: two tasks by an agent that is a small script, judged and merged.
# No key, no account, nothing outside the folder it makes in your home (or in TRY_IN) and names at the end.
# usage: sh examples/service/try.sh [TOS]      TOS = the program; `tos` if absent
set -eu
tos=${1:-tos}
# The script goes elsewhere, so a path has to be whole.
case $tos in */*) tos=$(CDPATH='' cd -- "$(dirname -- "$tos")" && pwd)/$(basename -- "$tos") ;; esac
command -v "$tos" >/dev/null || { echo "there is no program $tos; build it first, or name another" >&2; exit 2; }
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
place=$(mktemp -d "${TRY_IN:-$HOME}/tos-service-XXXXXX")
cp -R "$here/project/." "$place"
cd "$place"
git init -q -b main .
git add -A
git -c user.name=you -c user.email=you@localhost commit -q -m "the state in the morning"

say() { printf '\n$ %s\n' "$*"; }
say tos serve
"$tos" serve >serve.log 2>&1 </dev/null &
service=$!
trap 'kill $service 2>/dev/null || true; wait $service 2>/dev/null || true' EXIT
for _ in $(seq 100); do [ -e .tos/serve.json ] && break; sleep 0.1; done
cat serve.log
[ -e .tos/serve.json ] || exit 1

say tos board add "fix the greeting"
"$tos" board add "fix the greeting" --path greet.sh --class fix
"$tos" board add "write a farewell" --after 1
# In its first phase tos asks before each task.
for question in 1 2; do
  for _ in $(seq 300); do "$tos" board questions | grep -q "^$question:" && break; sleep 0.1; done
  say tos board allow $question
  "$tos" board allow $question
  for _ in $(seq 600); do "$tos" board list --status done | grep -q "^ *$question " && break; sleep 0.1; done
done
say tos board list
"$tos" board list
say tos why 2
"$tos" why 2
say git log --oneline
git log --oneline
printf '\nEverything lies in %s\n' "$place"
