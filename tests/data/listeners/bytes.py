# Counts bytes where supervisord counts characters.
import sys

stdin = sys.stdin.buffer
print("READY", flush=True)
while header := stdin.readline():
    length = int(header.rpartition(b" len:")[2].split(b" ")[0])
    payload = stdin.read(length)
    print("RESULT 2\nOKREADY", flush=True)
