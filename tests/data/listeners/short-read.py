# Takes what one read() returns for the whole payload.
import os

os.write(1, b"READY\n")
while True:
    header = b""
    while not header.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        header += byte
    # More bytes than characters are there, and no more than one event.
    if length := int(header.rpartition(b" len:")[2].split(b" ")[0]):
        payload = os.read(0, 4 * length)
    os.write(1, b"RESULT 2\nOKREADY\n")
