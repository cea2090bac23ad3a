# Stands in for a coding agent: gets a prompt as its first word, changes files, says what it did and what it cost.
# It goes by the task's name, which a real agent has no need of: that one reads the prompt.
prompt=$1
case ${TOS_TASK:-} in
health)
  echo ready ;;
hello)
  printf 'name=${1:-world}\necho "Hello, $name!"\n' >greet.sh
  echo 'greet.sh says Hello now' ;;
farewell)
  printf 'name=${1:-world}\necho "Goodbye, $name!"\n' >farewell.sh
  echo 'wrote farewell.sh' ;;
translate)
  case $prompt in
  *'second and last try'*) echo '# still no idea' >>greet.sh ;;
  *) echo '# no idea' >>greet.sh ;;
  esac
  echo 'tried something' ;;
usage)
  { echo '# usage: sh greet.sh [NAME]'; cat greet.sh; } >greet.new
  mv greet.new greet.sh
  echo 'added the usage line' ;;
esac
echo '{"total_cost_usd": 0.02}'
