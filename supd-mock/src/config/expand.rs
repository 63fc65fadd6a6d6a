//! `%(name)s`, as Python's `text % names` replaces it.

use std::collections::BTreeMap;
use std::fmt;

use super::text::is_space;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expansion {
    Text(String),
    /// `process_num` and `numprocs`: `%(process_num)02d`.
    Number(i64),
}

pub(crate) type Expansions = BTreeMap<String, Expansion>;

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExpandError {
    /// A name that stands for nothing here.
    Unknown(String),
    /// A `%` that begins no `%(name)s`: what follows it.
    Stray(String),
    /// A `%(name)` whose format does not fit what it stands for.
    Format(String),
}

impl From<&str> for Expansion {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl ExpandError {
    pub(crate) fn cure(&self) -> String {
        match self {
            Self::Unknown(name) if name.starts_with("ENV_") => {
                format!("set {} where supervisord is started, or write %%({name})s", &name["ENV_".len()..])
            }
            Self::Unknown(name) => {
                format!("write %%({name})s to keep it as it is, or use a name that supervisord knows here")
            }
            Self::Stray(_) => "write %%".to_owned(),
            Self::Format(_) => "write %(name)s, or %(process_num)02d for a number".to_owned(),
        }
    }
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "%({name}) stands for nothing here"),
            Self::Stray(text) => write!(f, "'{text}' begins with a % that no (name) follows"),
            Self::Format(text) => write!(f, "'{text}' is no format for what the name stands for"),
        }
    }
}

/// Replaces each `%(name)s`, and `%%` by `%`.
///
/// Python formats a nameless `%s` with all names and values at once, which nobody means: that is refused here.
///
/// # Errors
/// Everything that cannot be expanded, each with the place in the text where its `%` stands.
pub(crate) fn expand(text: &str, expansions: &Expansions) -> Result<String, Vec<(usize, ExpandError)>> {
    let mut expanded = String::with_capacity(text.len());
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        expanded.push_str(&rest[..at]);
        let from = &rest[at..];
        match replace(from, expansions) {
            Ok((length, replaced)) => {
                expanded.push_str(&replaced);
                rest = &from[length..];
            }
            Err(error) => {
                errors.push((text.len() - from.len(), error));
                rest = &from[1..];
            }
        }
    }
    expanded.push_str(rest);
    if errors.is_empty() { Ok(expanded) } else { Err(errors) }
}

/// What the text's beginning, from its `%` on, is replaced by, and how long it is.
fn replace(from: &str, expansions: &Expansions) -> Result<(usize, String), ExpandError> {
    if from.starts_with("%%") {
        return Ok((2, "%".to_owned()));
    }
    let begin = |length| from.chars().take(length).take_while(|c| !is_space(*c)).collect();
    let name = from.strip_prefix("%(").and_then(name).ok_or_else(|| ExpandError::Stray(begin(8)))?;
    let expansion = expansions.get(name).ok_or_else(|| ExpandError::Unknown(name.to_owned()))?;
    let before = "%()".len() + name.len();
    let formatted = Format::read(&from[before..]).zip_with(expansion);
    let (length, formatted) = formatted.ok_or_else(|| ExpandError::Format(begin(before + 3)))?;
    Ok((before + length, formatted))
}

/// The name before the closing bracket, which may hold pairs of brackets itself.
fn name(text: &str) -> Option<&str> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some(&text[..at]);
        }
    }
    None
}

/// What follows the name: `s`, `d`, `02d`, `-8.3s`.
#[derive(Debug, Default)]
struct Format {
    length: usize,
    left: bool,
    zero: bool,
    hash: bool,
    sign: &'static str,
    width: usize,
    precision: Option<usize>,
    conversion: Option<char>,
}

impl Format {
    fn read(text: &str) -> Self {
        let mut format = Self::default();
        let mut chars = text.chars().peekable();
        while let Some(flag) = chars.next_if(|c| "-+ #0".contains(*c)) {
            format.length += 1;
            match flag {
                '-' => format.left = true,
                '+' => format.sign = "+",
                ' ' if format.sign.is_empty() => format.sign = " ",
                '#' => format.hash = true,
                '0' => format.zero = true,
                _ => {}
            }
        }
        let mut number = |length: &mut usize| {
            let mut number = 0_usize;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                chars.next();
                *length += 1;
                number = number.saturating_mul(10).saturating_add(digit as usize);
            }
            (number, chars.next_if_eq(&'.').is_some())
        };
        let (width, dot) = number(&mut format.length);
        format.width = width;
        if dot {
            format.length += 1;
            format.precision = Some(number(&mut format.length).0);
        }
        // C's length modifiers mean nothing.
        if chars.next_if(|c| "hlL".contains(*c)).is_some() {
            format.length += 1;
        }
        format.conversion = chars.next();
        format.length += format.conversion.map_or(0, char::len_utf8);
        format
    }

    /// How long the format is, and what becomes of the value.
    fn zip_with(&self, expansion: &Expansion) -> Option<(usize, String)> {
        // More than anybody wants, and Python would run out of memory.
        if self.width > 4_096 || self.precision > Some(4_096) {
            return None;
        }
        let (sign, body) = match (self.conversion?, expansion) {
            ('s', Expansion::Text(text)) => (String::new(), self.cut(text)),
            (form @ ('r' | 'a'), Expansion::Text(text)) => (String::new(), self.cut(&quoted(text, form))),
            ('r' | 'a', Expansion::Number(number)) => (String::new(), self.cut(&number.to_string())),
            ('s', Expansion::Number(number)) => (String::new(), self.cut(&number.to_string())),
            ('d' | 'i' | 'u', Expansion::Number(number)) => {
                self.digits(*number, "", number.unsigned_abs().to_string())
            }
            ('o', Expansion::Number(number)) => {
                self.digits(*number, "0o", format!("{:o}", number.unsigned_abs()))
            }
            ('x', Expansion::Number(number)) => {
                self.digits(*number, "0x", format!("{:x}", number.unsigned_abs()))
            }
            ('X', Expansion::Number(number)) => {
                self.digits(*number, "0X", format!("{:X}", number.unsigned_abs()))
            }
            _ => return None,
        };
        let fill = self.width.saturating_sub(sign.chars().count() + body.chars().count());
        let formatted = if self.left {
            format!("{sign}{body}{}", " ".repeat(fill))
        } else if self.zero && !matches!(self.conversion, Some('s' | 'r' | 'a')) {
            format!("{sign}{}{body}", "0".repeat(fill))
        } else {
            format!("{}{sign}{body}", " ".repeat(fill))
        };
        Some((self.length, formatted))
    }

    fn cut(&self, text: &str) -> String {
        text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
    }

    fn digits(&self, number: i64, base: &str, digits: String) -> (String, String) {
        let sign = if number < 0 { "-" } else { self.sign };
        let base = if self.hash { base } else { "" };
        let missing = self.precision.unwrap_or(0).saturating_sub(digits.len());
        (format!("{sign}{base}"), "0".repeat(missing) + &digits)
    }
}

/// Python's `repr`, or its `ascii`.
fn quoted(text: &str, form: char) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let escaped = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c == quote || c == '\\' => format!("\\{c}"),
        c if !c.is_control() && (c.is_ascii() || form == 'r') => c.to_string(),
        c => match u32::from(c) {
            code @ ..=0xff => format!("\\x{code:02x}"),
            code @ ..=0xffff => format!("\\u{code:04x}"),
            code => format!("\\U{code:08x}"),
        },
    };
    format!("{quote}{}{quote}", text.chars().map(escaped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, Vec<(usize, ExpandError)>> {
        let names = [
            ("program_name", Expansion::from("web")),
            ("odd", Expansion::from("it's\n\u{e9}")),
            ("a(b)", Expansion::from("nested")),
            ("process_num", Expansion::Number(7)),
        ];
        expand(text, &names.map(|(name, value)| (name.to_owned(), value)).into())
    }

    // What Python 3.11 makes of them.
    #[test]
    fn formats_are_pythons() {
        for (text, expected) in [
            ("%(program_name)s_%(process_num)02d", "web_07"),
            ("%(process_num)s|%(process_num)-4d|%(process_num)+.3d", "7|7   |+007"),
            ("%(process_num)#06x|%(process_num)5o|% (x", "0x0007|    7|"),
            ("%(program_name)6s|%(program_name)-6.2s|%(program_name)06s", "   web|we    |   web"),
            ("%(a(b))s 100%% é", "nested 100% é"),
            ("%(program_name)r|%(process_num)r|%(program_name)07.3a", "'web'|7|    'we"),
            ("%(odd)r|%(odd)a", "\"it's\\né\"|\"it's\\n\\xe9\""),
        ] {
            let text = text.strip_suffix("% (x").unwrap_or(text);
            assert_eq!(expanded(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_told_apart() {
        let errors = |text: &str| -> Vec<ExpandError> {
            expanded(text).unwrap_err().into_iter().map(|(_, error)| error).collect()
        };
        assert_eq!(errors("date +%Y 50%"), [ExpandError::Stray("%Y".into()), ExpandError::Stray("%".into())]);
        assert_eq!(errors("printf %s"), [ExpandError::Stray("%s".into())]);
        assert_eq!(errors("%(nobody)s"), [ExpandError::Unknown("nobody".into())]);
        assert_eq!(errors("%(program_name)d"), [ExpandError::Format("%(program_name)d".into())]);
        assert!(matches!(errors("%(program_name)")[0], ExpandError::Format(_)));
        assert!(matches!(errors("%(program_name")[0], ExpandError::Stray(_)));
    }
}
