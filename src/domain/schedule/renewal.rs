//! When the quota that stopped the last session of tasks is renewed.

use chrono::Duration;

use super::QUOTA_RETRY_SEC;
use crate::domain::{
    ledger::{LedgerEntry, LedgerRecord},
    time::Timestamp,
};

/// Returns when work that a quota has stopped may go on: what the session was told last, or an hour after its end where
/// that is over or nobody said anything. `None` = the last session was not stopped by a quota.
pub fn quota_renewal_time(records: &[LedgerRecord]) -> Option<Timestamp> {
    let last = records
        .iter()
        .rposition(|record| matches!(record.entry, LedgerEntry::SessionEnd { .. }))?;
    let (before, after) = records.split_at(last);
    let begun_again = after
        .iter()
        .any(|record| matches!(record.entry, LedgerEntry::SessionStart { .. }));
    let record = after.first()?;
    let LedgerEntry::SessionEnd { end } = &record.entry else {
        return None;
    };
    if end.ended_by != "quota" || begun_again {
        return None;
    }
    let ended = record.stamp.at;
    let told = before
        .iter()
        .rev()
        .take_while(|record| !matches!(record.entry, LedgerEntry::SessionStart { .. }))
        .find_map(|record| {
            if let LedgerEntry::QuotaWait { until, .. } = &record.entry {
                Some(*until)
            } else {
                None
            }
        });
    let usual = ended + Duration::seconds(QUOTA_RETRY_SEC);
    Some(told.filter(|until| *until > ended).unwrap_or(usual))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ledger::{SessionEnd, SessionStart};

    fn record(at: &str, entry: LedgerEntry) -> LedgerRecord {
        LedgerRecord::unchained(1, Timestamp::parse_from_rfc3339(at).unwrap(), None, entry)
    }

    fn end(by: &str) -> LedgerEntry {
        LedgerEntry::SessionEnd {
            end: SessionEnd {
                ended_by: by.to_owned(),
                ..SessionEnd::default()
            },
        }
    }

    fn start() -> LedgerEntry {
        LedgerEntry::SessionStart {
            start: SessionStart::default(),
        }
    }

    #[test]
    fn the_time_that_was_told_counts_else_an_hour_after_the_end() {
        let told = |until: &str| LedgerEntry::QuotaWait {
            task: "t".to_owned(),
            seconds: 1,
            until: Timestamp::parse_from_rfc3339(until).unwrap(),
        };
        let of = |entries: Vec<LedgerEntry>| {
            let records: Vec<LedgerRecord> = entries
                .into_iter()
                .map(|entry| record("2026-11-29T03:00:00Z", entry))
                .collect();
            quota_renewal_time(&records).map(|at| at.to_rfc3339())
        };
        assert_eq!(
            of(vec![start(), told("2026-11-29T05:00:00Z"), end("quota")]),
            Some("2026-11-29T05:00:00+00:00".to_owned())
        );
        assert_eq!(
            of(vec![start(), told("2026-11-29T02:00:00Z"), end("quota")]),
            Some("2026-11-29T04:00:00+00:00".to_owned())
        );
        assert_eq!(of(vec![start(), end("quota"), start()]), None);
        assert_eq!(of(vec![start(), end("queue_empty")]), None);
        assert_eq!(of(vec![]), None);
    }
}
