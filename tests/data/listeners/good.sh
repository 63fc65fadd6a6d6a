# Right where len counts bytes (--len bytes); the shell cannot read so many characters, NUL among them.
set -f
printf 'READY\n'
while IFS= read -r header; do
    for token in $header; do
        case $token in len:*) len=${token#len:} ;; esac
    done
    # head takes no byte more than it is asked for.
    [ "$(head -c "$len" | wc -c)" -eq "$len" ] || break
    printf 'RESULT 2\nOKREADY\n'
done
