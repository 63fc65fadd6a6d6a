# Decodes each part by itself, and a character that was cut comes out as two.
import os

os.write(1, b"READY\n")
text = ""
while chunk := os.read(0, 1 << 16):
    text += chunk.decode(errors="replace")
    header, newline, payload = text.partition("\n")
    if newline and len(payload) >= (length := int(header.rpartition(" len:")[2].split(" ")[0])):
        text = payload[length:]
        os.write(1, b"RESULT 2\nOKREADY\n")
