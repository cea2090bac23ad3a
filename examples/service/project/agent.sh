# The sample agent: a script instead of a model. It reads what it is asked to do and does what it knows.
case "$1" in
*farewell*)
  printf '#!/bin/sh\necho "Goodbye, ${1:-world}"\n' > farewell.sh ;;
*greeting*)
  printf '#!/bin/sh\necho "Hello, ${1:-world}"\n' > greet.sh ;;
*wrong*)
  printf '#!/bin/sh\necho "Hullo"\n' > greet.sh ;;
*slow*)
  sleep 61408 ;;
*)
  printf 'written for: %s\n' "$TOS_TASK" > "notes-$TOS_TASK.txt" ;;
esac
