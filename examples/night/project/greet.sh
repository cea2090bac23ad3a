name=${1:-world}
echo "Helo, $name!"
