//! The tables that a person reads.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::account::Account;
use super::chain::Chain;
use super::killer::Kills;

const STAGES: [&str; 4] = ["supd-listen", "supd-parse", "supd-notify", "sh"];

/// What became of everything.
pub(super) struct Report {
    pub(super) accounts: Vec<(&'static Chain, Account)>,
    pub(super) kills: Kills,
    /// From the last kill until the last event had arrived everywhere.
    pub(super) settled_after: Duration,
}

impl Report {
    pub(super) fn balances(&self) -> bool {
        self.accounts.iter().all(|(_, account)| account.balances())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12}{:>7}{:>8}{:>9}{:>11}{:>7}{:>12}{:>10}{:>12}{:>11}",
            "events",
            "buffer",
            "sent",
            "dropped",
            "delivered",
            "lost",
            "duplicates",
            "declared",
            "undeclared",
            "unfounded"
        )?;
        for (chain, account) in &self.accounts {
            writeln!(
                f,
                "{:<12}{:>7}{:>8}{:>9}{:>11}{:>7}{:>12}{:>10}{:>12}{:>11}",
                chain.name,
                chain.buffer_size,
                account.sent,
                account.dropped,
                account.delivered,
                account.lost.len(),
                account.duplicates,
                account.declared.len(),
                account.undeclared().count(),
                account.unfounded().count(),
            )?;
        }
        write!(f, "\n{:<12}", "kills")?;
        STAGES.iter().try_for_each(|stage| write!(f, "{stage:>13}"))?;
        for (chain, _) in &self.accounts {
            write!(f, "\n{:<12}", chain.name)?;
            let count = |stage: &str| self.kills.get(&(chain.name, stage.to_owned())).unwrap_or(&0);
            STAGES.iter().try_for_each(|stage| write!(f, "{:>13}", count(stage)))?;
        }
        let total: usize = self.kills.values().sum();
        let after = self.settled_after;
        writeln!(f, "\n\n{total} kills; {after:.1?} after the last, everything had arrived")?;
        for (chain, account) in &self.accounts {
            account.faults().iter().try_for_each(|fault| writeln!(f, "{}: {fault}", chain.name))?;
        }
        Ok(())
    }
}
