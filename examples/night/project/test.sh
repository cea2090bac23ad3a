# What must hold after each task; TOS_TASK says which one is judged, and the whole is judged without.
set -e
case ${TOS_TASK:-} in
hello) sh greet.sh Ann | grep -q '^Hello, Ann!$' ;;
farewell) sh farewell.sh Ann | grep -q '^Goodbye, Ann!$' ;;
translate) LANG=ja sh greet.sh Ann | grep -q 'こんにちは' ;;
usage) head -1 greet.sh | grep -q '^# usage' && sh greet.sh Ann | grep -q '^Hello, Ann!$' ;;
*) sh greet.sh | grep -q '^Hello' ;;
esac
