// Right, in JavaScript: the units of its strings are neither bytes nor characters, so characters are counted by hand.
let input = Buffer.alloc(0);
process.stdout.write("READY\n");
process.stdin.on("data", (chunk) => {
  input = Buffer.concat([input, chunk]);
  const newline = input.indexOf("\n");
  if (newline < 0) return;
  const tokens = input.subarray(0, newline).toString().split(" ").filter((token) => token.startsWith("len:"));
  let left = Number(tokens.pop().slice(4));
  let end = newline + 1;
  // A character begins at every byte that is no continuation; it is whole when its last byte is there.
  for (; left > 0 && end < input.length; left--) {
    const first = input[end];
    end += first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  }
  if (left > 0 || end > input.length) return;
  input = input.subarray(end);
  process.stdout.write("RESULT 2\nOKREADY\n");
});
