# Standard output is a pipe, so print() keeps what it is given until there is more.
import sys

stdin = open(0, encoding="utf-8", newline="\n")
# As Python has it by default, whatever PYTHONUNBUFFERED says.
sys.stdout = open(1, "w", encoding="utf-8", buffering=8192)

print("READY")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    print("RESULT 2\nOK", end="READY\n")
