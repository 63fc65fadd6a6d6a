//! `--fields`: which keys are wanted, in their order, and the words that can be made of any record.

use std::cell::LazyCell;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use supd_core::Record;
use supd_core::describe::{self, Sentence};
use supd_core::fields::{Field, Fields as _};

use super::zone::Times;
use crate::item::Item;

/// Keys in their order. Copies know together which of them have had a value.
#[derive(Debug, Clone)]
pub(crate) struct Columns(Arc<List>);

#[derive(Debug)]
struct List {
    columns: Box<[Column]>,
    /// Whether a record has been looked at.
    used: AtomicBool,
}

#[derive(Debug)]
struct Column {
    key: String,
    /// What it is in a record that has no such key.
    word: Option<Word>,
    has_been: AtomicBool,
}

/// What can be said of any record, though it has no key for it.
#[derive(Debug, Clone, Copy)]
enum Word {
    Title,
    Subject,
    What,
    Severity,
}

impl Columns {
    /// Columns of these keys.
    pub(crate) fn of(keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let columns = keys.into_iter().map(|key| Column::of(key.into())).collect();
        Self(List { columns, used: AtomicBool::new(false) }.into())
    }

    /// The keys, for a heading.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.columns.iter().map(|column| &*column.key)
    }

    /// Gives every key with the item's value of it.
    pub(crate) fn each(&self, item: &Item<'_>, times: &Times, mut give: impl FnMut(&str, Option<Field<'_>>)) {
        note(&self.0.used);
        // Several words are made of one record.
        let record = LazyCell::new(|| item.record());
        for column in &self.0.columns {
            let word = || Some(Field::Text(column.word?.of(record.as_deref()?).into()));
            let field = item.get(&column.key).or_else(word);
            if field.is_some() {
                note(&column.has_been);
            }
            give(&column.key, field.map(|field| if column.key == "ts" { times.show(field) } else { field }));
        }
    }

    /// The keys that no record had, if there were records: perhaps they are spelt otherwise.
    pub(crate) fn never_met(&self) -> Vec<&str> {
        if !self.0.used.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let columns = self.0.columns.iter().filter(|column| !column.has_been.load(Ordering::Relaxed));
        columns.map(|column| &*column.key).collect()
    }
}

/// Threads that only read share the flag at no cost.
fn note(flag: &AtomicBool) {
    if !flag.load(Ordering::Relaxed) {
        flag.store(true, Ordering::Relaxed);
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let keys: Vec<&str> = text.split(',').map(str::trim).collect();
        for (at, key) in keys.iter().enumerate() {
            if key.is_empty() {
                return Err("a name is missing between commas".to_owned());
            }
            if keys[..at].contains(key) {
                return Err(format!("'{key}' is there twice"));
            }
        }
        Ok(Self::of(keys))
    }
}

impl Column {
    fn of(key: String) -> Self {
        let word = match &*key {
            "title" => Some(Word::Title),
            "subject" => Some(Word::Subject),
            "what" => Some(Word::What),
            "severity" => Some(Word::Severity),
            _ => None,
        };
        Self { key, word, has_been: AtomicBool::new(false) }
    }
}

impl Word {
    fn of(self, record: &Record) -> String {
        match self {
            Self::Title => Sentence::of(record).on(record.host.as_deref()),
            Self::Subject => describe::subject(record),
            Self::What => describe::what(record).into_owned(),
            Self::Severity => describe::severity(record).name().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use supd_core::flat::Scanner;

    use super::*;

    fn cells(columns: &Columns, line: &str) -> Vec<String> {
        let mut scanner = Scanner::default();
        let item = Item::read(&mut scanner, line.as_bytes()).unwrap();
        let mut cells = Vec::new();
        columns.each(&item, &Times::AsIs, |key, field| {
            cells.push(format!("{key}={}", field.map_or("-".into(), Field::into_plain)));
        });
        cells
    }

    #[test]
    fn words_are_made_of_the_record_where_it_has_no_such_key() {
        let columns: Columns = "subject, what,severity,title,pid,uptime".parse().unwrap();
        let crash = r#"{"host":"db1","eventname":"PROCESS_STATE_EXITED","processname":"a","groupname":"g","expected":false,"uptime":3.5}"#;
        assert_eq!(
            cells(&columns, crash),
            [
                "subject=g:a",
                "what=exited unexpectedly",
                "severity=error",
                "title=g:a on db1 exited unexpectedly",
                "pid=-",
                "uptime=3.5"
            ]
        );
        let digest = r#"{"eventname":"SUPD_DIGEST","severity":"critical"}"#;
        assert_eq!(cells(&columns, digest)[2], "severity=critical");
    }

    #[test]
    fn copies_know_together_what_never_had_a_value() {
        let columns: Columns = "eventname,procesname,title".parse().unwrap();
        assert!(columns.never_met().is_empty(), "there was no record");
        cells(&columns.clone(), r#"{"eventname":"TICK_5"}"#);
        assert_eq!(columns.never_met(), ["procesname"]);
    }

    #[test]
    fn a_list_names_each_key_once() {
        assert!("a,,b".parse::<Columns>().unwrap_err().contains("missing"));
        assert!("".parse::<Columns>().unwrap_err().contains("missing"));
        assert!("a,b,a".parse::<Columns>().unwrap_err().contains("twice"));
    }
}
