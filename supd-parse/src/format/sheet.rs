//! What csv and tsv share: a heading, then a line of cells for each item.

use std::borrow::Cow;

use supd_core::fields::Field;
use supd_core::json;

use super::Format;
use super::columns::Columns;
use super::rows::Rows;
use crate::item::Item;

/// The usual columns: what answers when, where, what and why; the rest can be asked for.
pub(crate) const USUAL: [&str; 15] = [
    "ts",
    "host",
    "server",
    "serial",
    "eventname",
    "processname",
    "groupname",
    "from_state",
    "expected",
    "tries",
    "pid",
    "channel",
    "type",
    "when",
    "data",
];

/// How cells stand beside each other.
pub(crate) trait Dialect {
    const BETWEEN: u8;

    /// Appends a cell.
    fn push_text(text: &str, out: &mut Vec<u8>);

    /// Appends what stands for a row whose only cell is empty, so that it is no empty line.
    fn push_lone_nothing(_out: &mut Vec<u8>) {}
}

pub(crate) struct Sheet<D> {
    rows: Rows,
    /// Whether there is to be one.
    heading: bool,
    safe: bool,
    dialect: std::marker::PhantomData<D>,
}

impl<D: Dialect> Sheet<D> {
    pub(crate) fn new(rows: Rows, heading: bool, safe: bool) -> Self {
        Self { rows, heading, safe, dialect: std::marker::PhantomData }
    }

    fn push_heading(&self, columns: &Columns, out: &mut Vec<u8>) {
        let mut row = Row::<D>::begin(self.safe, out);
        columns.keys().for_each(|key| row.push(Some(Field::Text(key.into()))));
        row.end();
    }
}

impl<D: Dialect> Format for Sheet<D> {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(columns) = self.rows.columns().filter(|_| self.heading) {
            self.push_heading(columns, out);
        }
    }

    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        if let Some(columns) = self.rows.settle(item).filter(|_| self.heading).cloned() {
            self.push_heading(&columns, out);
        }
        let mut row = Row::<D>::begin(self.safe, out);
        self.rows.each_cell(item, |cell| row.push(cell));
        row.end();
    }

    fn is_stateless(&self) -> bool {
        self.rows.is_fixed()
    }
}

/// A line that is being written.
struct Row<'o, D> {
    out: &'o mut Vec<u8>,
    start: usize,
    cells: usize,
    safe: bool,
    dialect: std::marker::PhantomData<D>,
}

impl<'o, D: Dialect> Row<'o, D> {
    fn begin(safe: bool, out: &'o mut Vec<u8>) -> Self {
        Self { start: out.len(), cells: 0, out, safe, dialect: std::marker::PhantomData }
    }

    fn push(&mut self, cell: Option<Field<'_>>) {
        if self.cells > 0 {
            self.out.push(D::BETWEEN);
        }
        self.cells += 1;
        match cell {
            None => {}
            Some(Field::Text(text)) => D::push_text(&self.harmless(text), self.out),
            Some(Field::Number(number)) => json::push_number(self.out, number),
            Some(Field::Flag(flag)) => self.out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Some(Field::Json(json)) => D::push_text(&json, self.out),
        }
    }

    /// A spreadsheet takes what begins so for a formula; behind an apostrophe it is text. Numbers are no text here.
    fn harmless<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        const BEGINNINGS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
        if self.safe && text.starts_with(BEGINNINGS) { format!("'{text}").into() } else { text }
    }

    fn end(self) {
        if self.out.len() == self.start {
            D::push_lone_nothing(self.out);
        }
        self.out.push(b'\n');
    }
}
