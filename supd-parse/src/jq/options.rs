//! The options of the jq filter.

use jaq_json::Val;
use supd_core::cli::Usage;
use supd_core::words::shortened;

use super::{Jq, environment, program};
use crate::text_file::TextFile;

/// So much of a filter shows which one is meant.
const MOST_SHOWN: usize = 60;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "jq")]
pub(crate) struct JqOptions {
    /// A filter of the jq language for what passes the others; what it gives takes the record's place:
    /// 'select(.tries > 2)', '{host, processname}'
    #[arg(long = "jq", value_name = "FILTER", group = "jq_filter")]
    filter: Option<String>,

    /// The same, the filter read from a file
    #[arg(long = "jq-file", value_name = "FILE", group = "jq_filter")]
    file: Option<TextFile>,

    /// The string that $NAME stands for in the filter
    #[arg(long, num_args = 2, value_names = ["NAME", "VALUE"], allow_hyphen_values = true, requires = "jq_filter")]
    arg: Vec<String>,
}

impl JqOptions {
    /// The filter, if one is asked for.
    ///
    /// # Errors
    /// [`Usage`] where it makes no sense; the system's, for a file.
    pub(crate) fn jq(&self) -> anyhow::Result<Option<Jq>> {
        match (&self.filter, &self.file) {
            (Some(code), _) => {
                let wrong =
                    |reason| Usage(format!("--jq '{}': {reason}", shortened(code.clone(), MOST_SHOWN)));
                Ok(Some(compiled(code, &self.arg).map_err(wrong)?))
            }
            (None, Some(file)) => {
                let wrong = |reason| Usage(format!("--jq-file '{}': {reason}", file.path().display()));
                Ok(Some(compiled(file.text("jq filter")?, &self.arg).map_err(wrong)?))
            }
            (None, None) => Ok(None),
        }
    }
}

/// A filter with its variables, which come as names and values by turns.
pub(super) fn compiled(code: &str, named: &[String]) -> Result<Jq, String> {
    let (named, _) = named.as_chunks::<2>();
    let mut names = vec!["$ENV".to_owned()];
    names.extend(named.iter().map(|[name, _]| format!("${name}")));
    let mut values = vec![environment::value()];
    values.extend(named.iter().map(|[_, value]| Val::from(value.clone())));
    Ok(Jq::new(program::compile(code, &names)?, values))
}
