//! What `--jq` is in a build without it: known, so that it can be said, and refused.

pub(crate) mod options {
    //! The options of the jq filter, which this build does not have.

    use supd_core::cli::Usage;

    use super::Jq;

    #[derive(Debug, Clone, clap::Args)]
    #[command(next_help_heading = "jq")]
    pub(crate) struct JqOptions {
        /// Not in this build: pipe into jq instead
        #[arg(long = "jq", visible_alias = "jq-file", value_name = "FILTER")]
        filter: Option<String>,
    }

    impl JqOptions {
        /// No filter.
        ///
        /// # Errors
        /// [`Usage`] where one is asked for.
        pub(crate) fn jq(&self) -> anyhow::Result<Option<Jq>> {
            match self.filter {
                Some(_) => {
                    Err(Usage("--jq: this build has no jq; pipe into jq -c instead".to_owned()).into())
                }
                None => Ok(None),
            }
        }
    }
}

use std::ops::ControlFlow;

use crate::item::Item;

/// A filter, of which there is none.
pub(crate) enum Jq {}

impl Jq {
    /// Never called.
    pub(crate) fn each(
        &mut self,
        _item: &Item<'_>,
        _give: impl FnMut(&Item<'_>) -> ControlFlow<()>,
    ) -> anyhow::Result<ControlFlow<()>> {
        match *self {}
    }
}
