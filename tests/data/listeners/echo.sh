# echo ends a line where there is none.
echo READY
while IFS= read -r header; do
    head -c "${header##*len:}" >/dev/null
    echo 'RESULT 2'
    echo OK
    echo READY
done
