//! Columns for people, with a heading. As wide as the first rows need, and no wider than the terminal; rows stream after
//! that.
//!
//! Crates that draw tables want all rows at once; this wants the first thousand, and is a few lines.

use std::str::FromStr as _;

use supd_core::describe::{self, Severity, printable};
use supd_core::fields::Field;

use super::Format;
use super::gauge::{cut, padded, width};
use super::paint::Paint;
use super::rows::Rows;
use super::text::push_line;
use crate::item::Item;

/// What one asks first.
pub(crate) const USUAL: [&str; 6] = ["ts", "host", "severity", "subject", "what", "pid"];

/// So many rows, or so many bytes of them, say how wide the columns are.
const FIRST_ROWS: usize = 1_000;
const FIRST_BYTES: usize = 1024 * 1024;

/// On a terminal of fewer columns, times are short.
pub(crate) const ROOMY: usize = 100;

/// A column is not made narrower than this to make the table fit.
const NARROWEST: usize = 6;

const BETWEEN: usize = 2;

pub(crate) struct Table {
    rows: Rows,
    heading: bool,
    layout: Layout,
    widths: Widths,
}

/// How cells look.
struct Layout {
    /// Of the terminal; `None` where nothing is to be cut.
    room: Option<usize>,
    paint: Paint,
    /// Of the columns, once they are known.
    keys: Vec<String>,
}

enum Widths {
    /// Not known yet: rows are kept, and how many bytes they have.
    Open {
        rows: Vec<Row>,
        bytes: usize,
    },
    Settled(Vec<usize>),
}

struct Row {
    cells: Vec<String>,
    look: Look,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Heading,
    Severity(Severity),
}

impl Table {
    pub(crate) fn new(rows: Rows, paint: Paint, heading: bool, room: Option<usize>) -> Self {
        let layout = Layout { room, paint, keys: Vec::new() };
        Self { rows, heading, layout, widths: Widths::Open { rows: Vec::new(), bytes: 0 } }
    }

    fn push(&mut self, row: Row, out: &mut Vec<u8>) {
        match &mut self.widths {
            Widths::Open { rows, bytes } => {
                *bytes += row.cells.iter().map(String::len).sum::<usize>();
                rows.push(row);
                if rows.len() > FIRST_ROWS || *bytes > FIRST_BYTES {
                    self.settle(out);
                }
            }
            Widths::Settled(widths) => row.push_to(&self.layout, widths, out),
        }
    }

    /// Says how wide columns are by the rows that have come, and writes those.
    fn settle(&mut self, out: &mut Vec<u8>) {
        let Widths::Open { rows, .. } = &self.widths else { return };
        let widths = fit(natural(rows), &self.layout.keys, self.layout.room);
        rows.iter().for_each(|row| row.push_to(&self.layout, &widths, out));
        self.widths = Widths::Settled(widths);
    }

    fn has_rows(&self) -> bool {
        matches!(&self.widths, Widths::Open { rows, .. } if rows.iter().any(|row| row.look != Look::Heading))
    }

    fn push_heading(&mut self, out: &mut Vec<u8>) {
        let Some(columns) = self.rows.columns() else { return };
        self.layout.keys = columns.keys().map(str::to_owned).collect();
        if !self.heading {
            return;
        }
        let cells = columns.keys().map(|key| printable(&key.to_uppercase()).into_owned()).collect();
        self.push(Row { cells, look: Look::Heading }, out);
    }
}

impl Format for Table {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.push_heading(out);
    }

    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        if self.rows.settle(item).is_some() {
            self.push_heading(out);
        }
        let mut cells = Vec::new();
        let room = self.layout.room;
        self.rows.each_cell(item, |cell| {
            let text = cell.map(Field::into_plain).unwrap_or_default();
            // No more is kept than can be shown.
            let text = room.map_or_else(|| printable(&text).into(), |room| cut(&printable(&text), room));
            cells.push(text);
        });
        let severity = item.record().map_or(Severity::Info, |record| describe::severity(&record));
        self.push(Row { cells, look: Look::Severity(severity) }, out);
    }

    fn idle(&mut self, out: &mut Vec<u8>) {
        // A heading alone says nothing of how wide columns are.
        if self.has_rows() {
            self.settle(out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.settle(out);
    }
}

impl Row {
    /// A later cell that is wider than its column is cut on a terminal; elsewhere the rest of its line stands further
    /// right.
    fn push_to(&self, layout: &Layout, widths: &[usize], out: &mut Vec<u8>) {
        let mut line = String::new();
        for (at, cell) in self.cells.iter().enumerate() {
            let to = widths.get(at).copied().unwrap_or(NARROWEST);
            let cell = if layout.room.is_some() { cut(cell, to) } else { cell.clone() };
            // What follows the last cell would only wrap.
            let cell = if at + 1 == self.cells.len() { cell } else { padded(&cell, to) };
            let key = layout.keys.get(at).map_or("", |key| key);
            line += &match self.look {
                Look::Heading => layout.paint.strong(&cell),
                Look::Severity(severity) => layout.paint.cell(key, severity, &cell),
            };
            line.extend(std::iter::repeat_n(' ', BETWEEN));
        }
        push_line(&line, out);
    }
}

/// As wide as the widest cell of each column.
fn natural(rows: &[Row]) -> Vec<usize> {
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
    let widest = |at: usize| rows.iter().filter_map(|row| row.cells.get(at)).map(|cell| width(cell)).max();
    (0..columns).map(|at| widest(at).unwrap_or_default()).collect()
}

/// Takes from the widest columns until all fit: not from times, half of which tell nothing.
fn fit(mut widths: Vec<usize>, keys: &[String], room: Option<usize>) -> Vec<usize> {
    let Some(room) = room else { return widths };
    let between = widths.len().saturating_sub(1) * BETWEEN;
    let is_time = |at: usize| keys.get(at).is_some_and(|key| key == "ts");
    while widths.iter().sum::<usize>() + between > room {
        let columns =
            widths.iter_mut().enumerate().filter(|(at, width)| !is_time(*at) && **width > NARROWEST);
        let Some((_, widest)) = columns.max_by_key(|(_, width)| **width) else { break };
        *widest -= 1;
    }
    widths
}

/// How wide the terminal is at standard output, or whatever the variable COLUMNS says instead.
pub(crate) fn terminal_width() -> Option<usize> {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| usize::from_str(&columns).ok());
    let asked = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col.into());
    told.or_else(asked).filter(|&columns| columns > 0)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::tests::formatted;
    use super::super::zone::Times;
    use super::*;

    fn table(fields: Option<&str>, room: Option<usize>) -> Table {
        let asked = fields.map(|fields| fields.parse().unwrap());
        let rows = Rows::new(asked, &USUAL, false, Times::Civil(TimeZone::UTC));
        Table::new(rows, Paint { on: false }, true, room)
    }

    fn record(process: &str, pid: u32) -> String {
        format!(
            r#"{{"ts":"2026-01-05T08:00:00.000Z","host":"db1","eventname":"PROCESS_STATE_RUNNING","processname":"{process}","from_state":"STARTING","pid":{pid}}}"#
        )
    }

    #[test]
    fn columns_stand_below_their_heading() {
        let lines = [record("漢字", 7), record("worker", 4321)];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(
            formatted(table(None, None), &lines),
            "TS                       HOST  SEVERITY  SUBJECT  WHAT        PID\n\
             2026-01-05 08:00:00.000  db1   good      漢字     is running  7\n\
             2026-01-05 08:00:00.000  db1   good      worker   is running  4321\n"
        );
        assert_eq!(formatted(table(Some("pid,host"), None), &[]), "PID  HOST\n");
    }

    #[test]
    fn the_widest_columns_give_way_until_the_table_fits() {
        let line = record(&"x".repeat(100), 7);
        let shown = formatted(table(Some("subject,ts"), Some(36)), &[&line]);
        assert_eq!(shown, "SUBJECT      TS\nxxxxxxxxxx…  2026-01-05 08:00:00.000\n");
        let shown = formatted(table(Some("subject,what,pid"), Some(30)), &[&line]);
        assert_eq!(shown, "SUBJECT        WHAT        PID\nxxxxxxxxxxxx…  is running  7\n");
        assert!(shown.lines().all(|line| width(line) <= 30), "{shown}");
    }

    #[test]
    fn widths_stay_once_the_input_has_been_silent() {
        let mut table = table(Some("processname,pid"), None);
        let mut out = Vec::new();
        table.begin(&mut out);
        table.idle(&mut out);
        assert!(out.is_empty(), "there is nothing to say how wide columns are");
        for process in ["a", "a-longer-one"] {
            let line = record(process, 7);
            let mut scanner = supd_core::flat::Scanner::default();
            table.write(&Item::read(&mut scanner, line.as_bytes()).unwrap(), &mut out);
            table.idle(&mut out);
        }
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "PROCESSNAME  PID\na            7\na-longer-one  7\n");
    }

    #[test]
    fn what_is_kept_at_first_is_bounded() {
        let long = record(&"x".repeat(FIRST_BYTES), 7);
        let mut table = table(Some("processname"), None);
        let mut out = Vec::new();
        let mut scanner = supd_core::flat::Scanner::default();
        table.write(&Item::read(&mut scanner, long.as_bytes()).unwrap(), &mut out);
        table
            .write(&Item::read(&mut supd_core::flat::Scanner::default(), long.as_bytes()).unwrap(), &mut out);
        assert!(out.len() > FIRST_BYTES);
    }
}
