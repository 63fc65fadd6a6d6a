# A timer prints every second to standard output.
import sys
import threading

stdin = open(0, encoding="utf-8", newline="\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def beat():
    while not over.wait(1):
        say("still alive\n")


over = threading.Event()
threading.Thread(target=beat, daemon=True).start()
say("READY\n")
while header := stdin.readline():
    length = int(header.rpartition(" len:")[2].split(" ")[0])
    payload = stdin.read(length)
    say("RESULT 2\nOKREADY\n")
over.set()
