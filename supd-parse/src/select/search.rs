//! Looks for the lines of a block that are worth reading: those in which a text stands that every passing record has.
//!
//! A line may also spell a text with `\u`, so such a line is always worth reading; but for `\u0000` to `\u001f`, which no
//! text holds, and which the colours of logs are full of.

use std::ops::Range;

use aho_corasick::packed;
use memchr::arch::all::packedpair::HeuristicFrequencyRank;
use memchr::memmem::{self, Finder, FinderBuilder};

/// Up to so many texts are quicker looked for one after another than all at once.
const FEW: usize = 4;

/// What is looked for, and where it stands next in the block in hand.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    needles: Vec<Needle>,
    /// The nearest of what the needles have found.
    nearest: usize,
}

#[derive(Debug, Clone)]
struct Needle {
    what: What,
    /// Where it stands next; the end of the block when it does not.
    next: usize,
}

#[derive(Debug, Clone)]
enum What {
    Text(Finder<'static>),
    Texts(packed::Searcher),
    /// A character that is spelled by its number.
    Escape(Finder<'static>),
}

impl Search {
    /// For lines in which one of these texts stands; `None` where they are too many to be looked for.
    pub(crate) fn of(texts: &[Vec<u8>]) -> Option<Self> {
        // Where a text stands that holds another one, the other one stands too.
        let holds_other =
            |text: &Vec<u8>| texts.iter().any(|other| other != text && memmem::find(text, other).is_some());
        let texts: Vec<_> = texts.iter().filter(|text| !holds_other(text)).collect();
        let whats: Vec<_> = if texts.len() <= FEW {
            texts.into_iter().map(|text| What::Text(finder(text))).collect()
        } else {
            vec![What::Texts(packed::Searcher::new(texts)?)]
        };
        let whats = whats.into_iter().chain([What::Escape(finder(b"\\u"))]);
        Some(Self { needles: whats.map(|what| Needle { what, next: 0 }).collect(), nearest: 0 })
    }

    /// Begins with another block.
    pub(crate) fn restart(&mut self) {
        self.nearest = 0;
        self.needles.iter_mut().for_each(|needle| needle.next = 0);
    }

    /// Whether a line is worth reading. Lines of a block are asked for in their order.
    pub(crate) fn finds(&mut self, block: &[u8], line: &Range<usize>) -> bool {
        // At the beginning of a block nothing has been found yet.
        if self.nearest < line.start || line.start == 0 {
            for needle in &mut self.needles {
                if needle.next < line.start || line.start == 0 {
                    needle.next = needle.what.find(block, line.start).unwrap_or(block.len());
                }
            }
            self.nearest = self.needles.iter().map(|needle| needle.next).min().unwrap_or(block.len());
        }
        self.nearest < line.end
    }
}

impl What {
    fn find(&self, block: &[u8], from: usize) -> Option<usize> {
        let rest = &block[from..];
        match self {
            Self::Text(finder) => finder.find(rest).map(|at| from + at),
            Self::Texts(all) => all.find(rest).map(|found| from + found.start()),
            Self::Escape(finder) => {
                let mut found = finder.find_iter(rest).map(|at| from + at);
                found.find(|at| !matches!(&block[at + 2..], [b'0', b'0', b'0' | b'1', ..]))
            }
        }
    }
}

fn finder(text: &[u8]) -> Finder<'static> {
    FinderBuilder::new().build_forward_with_ranker_owned(Ordinary, text)
}

/// How often a byte stands in an ordinary record. The search looks for the two rarest of a text.
struct Ordinary;

/// Keys and words of events that every other line holds.
const ORDINARY: &[u8] =
    br#"{"ts":"2026-01-05T08:00:01.016Z","host":"h1","boot":"89025cc1-1-22319","ver":"3.0","#;
const NAMES: &[u8] =
    br#""server":"supervisor","serial":9,"pool":"alerts","poolserial":9,"eventname":"PROCESS_STATE_"#;
const PAYLOAD: &[u8] =
    br#"RUNNING","processname":"web_00","groupname":"web","from_state":"STARTING","pid":6802}"#;

impl HeuristicFrequencyRank for Ordinary {
    fn rank(&self, byte: u8) -> u8 {
        let often = |bytes: &[u8]| bytes.iter().filter(|other| **other == byte).count();
        let often = often(ORDINARY) + often(NAMES) + often(PAYLOAD);
        // What no record has of itself stands in log text, letters more often than signs.
        let otherwise = if byte.is_ascii_alphanumeric() { 4 } else { 1 };
        u8::try_from(often * 8).unwrap_or(u8::MAX).max(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the lines that are worth reading.
    fn found(texts: &[&str], lines: &[&str]) -> Vec<usize> {
        let texts: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        let mut search = Search::of(&texts).unwrap();
        let block = lines.join("\n").into_bytes();
        let mut found = Vec::new();
        // A search serves one block after another.
        for _ in 0..2 {
            found.clear();
            search.restart();
            let mut start = 0;
            for (number, line) in lines.iter().enumerate() {
                let range = start..start + line.len();
                start = range.end + 1;
                found.extend(search.finds(&block, &range).then_some(number));
            }
        }
        found
    }

    #[test]
    fn lines_that_hold_a_text_are_found() {
        let lines = ["a needle", "none", "", "needle and needle", "hay", "pin"];
        assert_eq!(found(&["needle"], &lines), [0, 3]);
        assert_eq!(found(&["needle", "pin"], &lines), [0, 3, 5]);
        assert_eq!(found(&["needle", "pin", "xxx", "yyy", "hay"], &lines), [0, 3, 4, 5]);
        assert!(found(&["absent"], &lines).is_empty());
    }

    #[test]
    fn a_line_that_may_spell_it_otherwise_is_found_too() {
        let lines = [r"\u006eeedle", r"\u001b[31m red", r"\u0000\u0007 \u00e9", r"\\n", r"ends with \u"];
        assert_eq!(found(&["needle"], &lines), [0, 2, 4]);
    }
}
