// Counts the units of JavaScript's strings, in which an emoji has length 2.
let input = "";
process.stdin.setEncoding("utf8");
process.stdout.write("READY\n");
process.stdin.on("data", (chunk) => {
  input += chunk;
  const newline = input.indexOf("\n");
  if (newline < 0) return;
  const len = input.slice(0, newline).split(" ").filter((token) => token.startsWith("len:")).pop();
  const end = newline + 1 + Number(len.slice(4));
  if (input.length < end) return;
  input = input.slice(end);
  process.stdout.write("RESULT 2\nOKREADY\n");
});
