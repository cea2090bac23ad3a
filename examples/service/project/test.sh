# What a change has to pass: whoever greets, greets somebody.
said=$(sh greet.sh you)
case "$said" in
He*", you") ;;
*) echo "greet.sh says: $said" >&2; exit 1 ;;
esac
