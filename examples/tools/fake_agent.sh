#!/bin/sh
# Stands in for a coding agent: says what it does, takes a moment, succeeds or fails as told.
# usage: fake_agent.sh NAME [--sleep SECONDS] [--fail] [--fail-until FILE] [--write FILE]
name=$1
shift
echo "[$name] begins"
while [ $# -gt 0 ]; do
  case $1 in
    --sleep) sleep "$2"; shift 2 ;;
    --fail) echo "[$name] cannot do it" >&2; exit 1 ;;
    --write) mkdir -p "$(dirname "$2")"; echo "made by $name" > "$2"; shift 2 ;;
    *) echo "[$name] does not know $1" >&2; exit 64 ;;
  esac
done
echo "[$name] is done"
