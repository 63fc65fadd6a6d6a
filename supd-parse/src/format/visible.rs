//! Forms for programs on a terminal: what would act on it is made visible.

use std::borrow::Cow;

use supd_core::describe::{acts, printable};

use super::Format;
use crate::item::Item;

/// Another form, for looking at.
pub(crate) struct Visible {
    form: Box<dyn Format>,
    /// Of its own, as between records.
    controls: &'static [char],
}

impl Visible {
    /// A form that puts these controls between records and cells.
    pub(crate) fn new(form: Box<dyn Format>, controls: &'static [char]) -> Self {
        Self { form, controls }
    }

    fn show(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut dyn Format, &mut Vec<u8>)) {
        let start = out.len();
        write(&mut *self.form, out);
        let controls = self.controls;
        let is_to_be_shown = |c| acts(c) && !controls.contains(&c);
        let shown = match String::from_utf8_lossy(&out[start..]) {
            Cow::Borrowed(text) if !text.contains(is_to_be_shown) => return,
            text => show(&text, is_to_be_shown),
        };
        out.truncate(start);
        out.extend_from_slice(shown.as_bytes());
    }
}

fn show(text: &str, is_to_be_shown: impl Fn(char) -> bool) -> String {
    let parts = text.split_inclusive(&is_to_be_shown).map(|part| match part.char_indices().next_back() {
        Some((at, c)) if is_to_be_shown(c) => format!("{}{}", &part[..at], printable(&part[at..])),
        _ => part.to_owned(),
    });
    parts.collect()
}

impl Format for Visible {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.show(out, |form, out| form.begin(out));
    }

    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        self.show(out, |form, out| form.write(item, out));
    }

    fn mark(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        self.show(out, |form, out| form.mark(item, out));
    }

    fn idle(&mut self, out: &mut Vec<u8>) {
        self.show(out, |form, out| form.idle(out));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.show(out, |form, out| form.end(out));
    }

    fn is_stateless(&self) -> bool {
        self.form.is_stateless()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ndjson::Ndjson;
    use super::super::tests::formatted;
    use super::*;

    #[test]
    fn json_stays_json_that_says_the_same() {
        let line = "{\"eventname\":\"E\",\"data\":\"a\u{9b}31m\u{202e}é\u{7f}\"}";
        let shown = formatted(Visible::new(Box::new(Ndjson::default()), &['\n']), &[line]);
        assert_eq!(shown, "{\"eventname\":\"E\",\"data\":\"a\\u009b31m\\u202eé\\u007f\"}\n");
        let values = [line, &shown].map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert_eq!(values[0], values[1]);
    }
}
