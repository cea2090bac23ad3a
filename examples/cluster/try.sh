#!/bin/sh
# Two controllers and four workers on one machine, over three NATS servers on loopback; the leading controller, a server and a
# worker are killed in the middle, and everything is done all the same. No key, no account, nothing outside the folder it makes in your home (or in TRY_IN) and names at the end.
# usage: sh examples/cluster/try.sh [TOS]      TOS = the program; `tos` if absent. Needs nats-server (Debian: nats-server).
set -eu
tos=${1:-tos}
case $tos in */*) tos=$(CDPATH='' cd -- "$(dirname -- "$tos")" && pwd)/$(basename -- "$tos") ;; esac
command -v "$tos" >/dev/null || { echo "there is no program $tos; build it first, or name another" >&2; exit 2; }
command -v nats-server >/dev/null || { echo "nats-server is missing: apt install nats-server" >&2; exit 2; }
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
place=$(mktemp -d "${TRY_IN:-$HOME}/tos-cluster-XXXXXX")
port=${TRY_PORT:-14222}
cp -R "$here/../service/project/." "$place/first"
cd "$place/first"
git init -q -b main .
git add -A
git -c user.name=you -c user.email=you@localhost commit -q -m "the state in the morning"
git clone -q . "$place/second"
for worker in one two three four; do mkdir "$place/$worker" && git init -q "$place/$worker"; done
pids=
trap 'for pid in $pids; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true' EXIT
begin() { # FOLDER LOG WORDS...
  folder=$1 log=$2; shift 2
  (cd "$folder" && exec "$@") >"$log" 2>&1 </dev/null &
  last=$!
  pids="$pids $last"
}
route=$((port + 3))
urls=nats://127.0.0.1:$port,nats://127.0.0.1:$((port + 1)),nats://127.0.0.1:$((port + 2))
routes=nats://127.0.0.1:$route,nats://127.0.0.1:$((route + 1)),nats://127.0.0.1:$((route + 2))
cluster="--nats $urls --nats-board try --nats-lease 4"
say() { printf '\n$ %s\n' "$*"; }

say "nats-server -js -cluster ...  (three of them)"
for number in 0 1 2; do
  begin "$place" "$place/nats$number.log" nats-server -js -n "n$number" -a 127.0.0.1 -p $((port + number)) -sd "$place/nats$number" \
    -cluster "nats://127.0.0.1:$((route + number))" -cluster_name try -routes "$routes"
  eval "server$number=\$last"
done
# They choose a leader among themselves first.
for _ in $(seq 200); do grep -q "JetStream cluster new metadata leader" "$place"/nats?.log && break; sleep 0.1; done
say "tos serve --nats ...      (the first controller)"
# shellcheck disable=SC2086 # a list of words
begin "$place/first" "$place/first.log" "$tos" serve $cluster
first=$last
for _ in $(seq 100); do [ -e "$place/first/.tos/serve.json" ] && break; sleep 0.1; done
say "tos serve --nats ...      (the second controller)"
# shellcheck disable=SC2086
begin "$place/second" "$place/second.log" "$tos" serve $cluster
for worker in one two three four; do
  say "tos worker --nats ... --name $worker"
  # shellcheck disable=SC2086
  begin "$place/$worker" "$place/$worker.log" "$tos" worker $cluster --name "$worker"
  eval "$worker=\$last"
done
until_true() { for _ in $(seq 900); do if eval "$1"; then return 0; fi; sleep 0.1; done; echo "waited in vain for: $1" >&2; cat "$place"/*.log >&2; exit 1; }
answer() { for question in $("$tos" board questions | sed -n 's/^\([0-9]*\):.*/\1/p'); do "$tos" board allow "$question" >/dev/null; done; }

"$tos" board add "fix the greeting" --path greet.sh --class fix
until_true 'answer; "$tos" board list --status done | grep -q "^ *1 "'
"$tos" board add "write a farewell"
say "kill -9 the leading controller, the worker one, and a server"
# shellcheck disable=SC2154 # set by eval
kill -9 "$first" "$one" "$server2"
cd "$place/second"
until_true '[ -e "$place/second/.tos/serve.json" ]'
until_true 'answer; "$tos" board list --status done | grep -q "^ *2 "'
say "tos board list             (the second controller)"
"$tos" board list
say "tos workers --nats ..."
# shellcheck disable=SC2086
"$tos" workers $cluster
say git log --oneline
git log --oneline
printf '\nEverything lies in %s\n' "$place"
