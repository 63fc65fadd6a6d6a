//! Records of our own, `SUPD_GAP`: what did not come, or is gone.

use serde_json::Value;
use supd_core::Record;
use supd_core::gaps::Gap;
use supd_core::spool::log::Lost;

/// A record of records that are gone from the spool.
pub(crate) fn lost(lost: Lost, reason: &str) -> Record {
    let [missing, first, last] = [lost.count(), lost.first, lost.last].map(Value::from);
    own([("missing", missing), ("first_seq", first), ("last_seq", last), ("reason", reason.into())])
}

/// A record of events that supervisord dropped, by their poolserials.
pub(crate) fn gap(gap: Gap) -> Record {
    let [missing, after, before] = [gap.missing(), gap.after, gap.before].map(Value::from);
    own([("missing", missing), ("after", after), ("before", before)])
}

fn own<const N: usize>(fields: [(&str, Value); N]) -> Record {
    let extra = fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
    Record { eventname: "SUPD_GAP".into(), extra, ..Record::default() }
}
