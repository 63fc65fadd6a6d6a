# Counts bytes where supervisord counts characters.
import re
import sys

stdin = sys.stdin.buffer
print("READY", flush=True)
while header := stdin.readline():
    length = int(re.findall(rb" len:(\d+)", header)[-1])
    payload = stdin.read(length)
    print("RESULT 2\nOKREADY", flush=True)
