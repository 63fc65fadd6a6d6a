//! `--jq`: each record through a filter of the jq language, compiled once and run in process.
//!
//! What the filter gives takes the record's place. The input itself, given back (`select(…)`), keeps its bytes.

mod complaint;
mod delete;
mod environment;
mod functions;
mod input;
pub(crate) mod options;
mod output;
mod program;
mod row;

use std::ops::ControlFlow;

use anyhow::{anyhow, bail};
use jaq_core::{Ctx, Exn, Vars};
use jaq_json::{Rc, Val};
use supd_core::words::shortened;

use crate::chain::Halted;
use crate::item::Item;
use input::Input;
use program::{Data, Filter};

/// So much of the output of one record is no slip: a filter without end must not fill the memory.
const MOST_OUTPUT: usize = 64 << 20;
/// So much of a value in a message tells enough.
const MOST_REASON: usize = 200;

/// A filter, and the memory that it works in.
pub(crate) struct Jq {
    filter: Filter,
    variables: Vars<Val>,
    input: Input,
    text: Vec<u8>,
}

impl Jq {
    fn new(filter: Filter, variables: Vec<Val>) -> Self {
        Self { filter, variables: Vars::new(variables), input: Input::default(), text: Vec::new() }
    }

    /// Gives everything that the filter makes of a record, one after another, for as long as more is wanted.
    ///
    /// # Errors
    /// The filter's; what it gave before has been given. [`Halted`] where nothing more is to be read.
    pub(crate) fn each(
        &mut self,
        item: &Item<'_>,
        give: impl FnMut(&Item<'_>) -> ControlFlow<()>,
    ) -> anyhow::Result<ControlFlow<()>> {
        let input = self.input.of(item)?;
        let flow = self.run(item, input, give);
        self.input.clear();
        flow
    }

    fn run(
        &mut self,
        item: &Item<'_>,
        input: Val,
        mut give: impl FnMut(&Item<'_>) -> ControlFlow<()>,
    ) -> anyhow::Result<ControlFlow<()>> {
        // While it is held here, whoever changes it changes a copy: the same address is the same value.
        let unchanged = input.clone();
        let ctx = Ctx::<Data>::new(&self.filter.lut, self.variables.clone());
        let mut written = 0;
        for output in self.filter.id.run((ctx, input)) {
            let flow = match output {
                Ok(output) if is_same(&output, &unchanged) => {
                    written += 1;
                    give(item)
                }
                Ok(output) => {
                    self.text.clear();
                    output::push(&mut self.text, &output);
                    written += self.text.len();
                    give(&Item::written(&self.text))
                }
                Err(exception) => return failed(exception),
            };
            if flow.is_break() {
                return Ok(flow);
            }
            if written > MOST_OUTPUT {
                bail!("--jq: more than {} MiB from one record", MOST_OUTPUT >> 20);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn is_same(output: &Val, input: &Val) -> bool {
    matches!((output, input), (Val::Obj(output), Val::Obj(input)) if Rc::ptr_eq(output, input))
}

/// An error, or the end that `halt` asked for.
fn failed(exception: Exn<'_, Val>) -> anyhow::Result<ControlFlow<()>> {
    match exception.get_err().map_err(Exn::get_halt) {
        Ok(error) => {
            let reason = functions::plain(&error.into_val());
            Err(anyhow!("--jq: {}", shortened(reason, MOST_REASON)))
        }
        Err(Ok(0)) => Ok(ControlFlow::Break(())),
        Err(Ok(status)) => Err(Halted(format!("--jq: halted with status {status}")).into()),
        Err(Err(_)) => Err(anyhow!("--jq: a break that leads nowhere")),
    }
}

#[cfg(test)]
mod tests {
    use supd_core::flat::Scanner;

    use super::*;

    /// What comes of a line, or the error.
    fn outputs(filter: &str, line: &str) -> Result<Vec<String>, String> {
        let mut jq = options::compiled(filter, &[]).unwrap();
        let mut scanner = Scanner::default();
        let item = Item::read(&mut scanner, line.as_bytes()).unwrap();
        let mut out = Vec::new();
        let flow = jq.each(&item, |item| {
            let mut line = Vec::new();
            item.write_line(&mut line);
            out.push(String::from_utf8(line).unwrap().trim_end().to_owned());
            ControlFlow::Continue(())
        });
        flow.map(|_| out).map_err(|error| error.to_string())
    }

    const FLAT: &str = r#"{"serial":1,"eventname":"X","pid":7,"note":"\u0061"}"#;
    const SPACED: &str = r#"{ "pid":7,"eventname":"X", "x":null }"#;

    #[test]
    fn a_record_that_is_given_back_keeps_its_bytes() {
        for line in [FLAT, SPACED] {
            for filter in
                [".", "select(.pid > 5)", "first(., 1)", ". as $x | $x", "if .pid then . else 0 end"]
            {
                assert_eq!(outputs(filter, line).unwrap(), [line], "{filter}");
            }
        }
    }

    #[test]
    fn a_record_that_was_changed_is_another() {
        for (filter, expected) in [
            (".note = \"b\"", r#"{"serial":1,"eventname":"X","pid":7,"note":"b"}"#),
            ("del(.serial)", r#"{"eventname":"X","pid":7,"note":"a"}"#),
            (". + {}", r#"{"serial":1,"eventname":"X","pid":7,"note":"a"}"#),
        ] {
            let given = outputs(&format!("{filter}, ., {filter}"), FLAT).unwrap();
            assert_eq!(given, [expected, FLAT, expected], "{filter}");
        }
    }

    #[test]
    fn what_came_before_an_error_is_given() {
        assert_eq!(outputs(".pid.x", FLAT).unwrap_err(), r#"--jq: cannot index 7 with "x""#);
        let mut given = 0;
        let mut jq = options::compiled("1, error(\"no\"), 2", &[]).unwrap();
        let mut scanner = Scanner::default();
        let item = Item::read(&mut scanner, FLAT.as_bytes()).unwrap();
        let result = jq.each(&item, |_| {
            given += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((result.unwrap_err().to_string(), given), ("--jq: no".to_owned(), 1));
    }

    #[test]
    fn a_filter_without_end_is_ended() {
        let mut jq = options::compiled("repeat(\"0123456789\" * 100)", &[]).unwrap();
        let mut scanner = Scanner::default();
        let item = Item::read(&mut scanner, FLAT.as_bytes()).unwrap();
        let reason = jq.each(&item, |_| ControlFlow::Continue(())).unwrap_err().to_string();
        assert_eq!(reason, "--jq: more than 64 MiB from one record");
        assert!(jq.each(&item, |_| ControlFlow::Break(())).unwrap().is_break());
    }

    #[test]
    fn halt_ends_the_reading() {
        let mut jq = options::compiled("., halt, .", &[]).unwrap();
        let mut scanner = Scanner::default();
        let item = Item::read(&mut scanner, FLAT.as_bytes()).unwrap();
        assert!(jq.each(&item, |_| ControlFlow::Continue(())).unwrap().is_break());
        let mut jq = options::compiled("halt_error", &[]).unwrap();
        assert!(jq.each(&item, |_| ControlFlow::Continue(())).unwrap_err().is::<Halted>());
    }
}
