//! JSON text for the line that every event becomes, byte for byte what serde_json writes. A string is copied in runs,
//! because its bytes are looked at eight at a time; serde_json looks at each one.

/// Appends a string in its quotes.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let run = plain_run(rest);
        out.extend_from_slice(&rest[..run]);
        let Some(&special) = rest.get(run) else { break };
        push_escape(out, special);
        rest = &rest[run + 1..];
    }
    out.push(b'"');
}

/// Appends a number.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// How many bytes come before the first that must be escaped.
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    for (at, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return at * size_of::<u64>() + special.trailing_zeros() as usize / 8;
        }
    }
    bytes.len() - rest.len() + rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len())
}

/// Sets the highest bit of the lowest byte that must be escaped, and perhaps of some above it; 0 when there is none.
///
/// A byte has its highest bit set by a subtraction when it was less than what was taken from it. What is borrowed from
/// the byte above can only spoil bytes above a special one. (Mycroft's algorithm, as in serde_json's reader.)
fn special_bytes(word: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let control = word.wrapping_sub(each(0x20));
    let quote = (word ^ each(b'"')).wrapping_sub(each(1));
    let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
    (control | quote | backslash) & !word & each(0x80)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, ..0x20 | b'"' | b'\\')
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let [high, low] = [byte >> 4, byte & 0xF].map(|digit| HEX[usize::from(digit)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// Appends what stands between the quotes of a string, its escapes taken away. They are known to be well-formed, and
/// none is half a character.
pub(crate) fn unescape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = &rest[at + 1..];
        let length = if escape[0] == b'u' { 5 } else { 1 };
        push_unescaped(out, &escape[..length]);
        rest = &escape[length..];
    }
    out.extend_from_slice(rest);
}

fn push_unescaped(out: &mut Vec<u8>, escape: &[u8]) {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("its digits were looked at");
    out.push(match escape[0] {
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let number = escape[1..].iter().fold(0, |number, &byte| number << 4 | digit(byte));
            let character = char::from_u32(number).expect("it is no half of a character");
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
        itself => itself,
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        push_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_is_written_as_serde_json_writes_it_wherever_it_stands() {
        for special in (0..=0x110).chain(0x2020..=0x2030).chain(0xD7F0..=0xE010).chain(0x1_0FFF0..=0x10_FFFF)
        {
            let Some(special) = char::from_u32(special) else { continue };
            for before in 0..if special.is_ascii() { 17 } else { 2 } {
                let text = format!("{}{special}{special}é \u{7f}{special}abcdefgh", "x".repeat(before));
                assert_eq!(string(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn every_escape_is_taken_away() {
        let text = r#"a\"\\\/\b\f\n\r\t\u0041\u00e9\u6F22z"#;
        let mut out = Vec::new();
        unescape(text, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a\"\\/\u{8}\u{c}\n\r\tAé漢z");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_string_is_written_as_serde_json_writes_it(
            text in any::<String>(),
            log in "[ -~\n\t\"\\\\\u{0}-\u{20}\u{7f}-\u{a0}\u{2028}\u{2029}\u{d7ff}\u{e000}😀]{0,100}",
            number in any::<u64>(),
        ) {
            for text in [text, log] {
                let written = string(&text);
                prop_assert_eq!(&written, &serde_json::to_string(&text).unwrap());
                let mut back = Vec::new();
                unescape(&written[1..written.len() - 1], &mut back);
                prop_assert_eq!(String::from_utf8(back).unwrap(), text);
            }
            let mut out = Vec::new();
            push_number(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
