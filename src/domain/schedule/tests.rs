//! What is due, over ordinary days and over every change of the clock.

use std::collections::BTreeMap;

use chrono::{Datelike, Duration, NaiveDate, TimeZone, Timelike, Utc};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_from_rfc3339(text).unwrap()
}

fn schedule(cron: &str, zone: Tz, missed: MissedPolicy) -> Schedule {
    Schedule {
        name: "s".to_owned(),
        when: Trigger::Cron(Box::new(CronExpression::parse(cron).unwrap())),
        zone,
        missed,
        target: ScheduleTarget::Plan("p.yaml".to_owned()),
        args: Vec::new(),
    }
}

fn record(what: ScheduledRunEvent, slot: Timestamp) -> ScheduledRunRecord {
    ScheduledRunRecord {
        slot,
        at: slot,
        what,
        missed: 0,
        exit_code: None,
        log: None,
        why: String::new(),
    }
}

fn seen(text: &str) -> Vec<ScheduledRunRecord> {
    vec![record(ScheduledRunEvent::Seen, at(text))]
}

#[test]
fn a_slot_is_due_once_and_the_next_one_is_named() {
    let nightly = schedule("0 2 * * *", Tz::UTC, MissedPolicy::Once);
    let mut records = Vec::new();
    let now = at("2026-11-29T01:00:00Z");
    assert_eq!(due(&nightly, &records, now, None), DueAction::FirstSight);
    records.extend(seen("2026-11-29T01:00:00Z"));
    let slot = at("2026-11-29T02:00:00Z");
    let not_yet = DueAction::NotYet { next: Some(slot) };
    assert_eq!(due(&nightly, &records, now, None), not_yet);
    let now = at("2026-11-29T02:00:07Z");
    let run = DueAction::Run { slot, missed: 0 };
    assert_eq!(due(&nightly, &records, now, None), run);
    records.push(record(ScheduledRunEvent::Started, slot));
    let next = Some(at("2026-11-30T02:00:00Z"));
    assert_eq!(
        due(&nightly, &records, now, None),
        DueAction::NotYet { next }
    );
    // A clock that was set back does not bring the slot back.
    let now = at("2026-11-29T01:59:00Z");
    assert_eq!(
        due(&nightly, &records, now, None),
        DueAction::NotYet { next }
    );
}

#[test]
fn missed_slots_are_made_up_for_once_or_never() {
    let records = seen("2026-11-20T12:00:00Z");
    let now = at("2026-11-29T12:00:00Z");
    let slot = at("2026-11-29T02:00:00Z");
    let of = |missed| due(&schedule("0 2 * * *", Tz::UTC, missed), &records, now, None);
    assert_eq!(of(MissedPolicy::Once), DueAction::Run { slot, missed: 8 });
    assert_eq!(of(MissedPolicy::Never), DueAction::Skip { slot, missed: 8 });
    // A few minutes late is not missed.
    let now = at("2026-11-29T02:09:00Z");
    let never = schedule("0 2 * * *", Tz::UTC, MissedPolicy::Never);
    assert_eq!(
        due(&never, &records, now, None),
        DueAction::Run { slot, missed: 8 }
    );
}

#[test]
fn whoever_was_away_for_years_gets_the_newest_slot() {
    let records = seen("2020-01-01T00:00:00Z");
    let now = at("2026-11-29T12:00:30Z");
    let minutely = schedule("* * * * *", Tz::UTC, MissedPolicy::Once);
    let slot = at("2026-11-29T12:00:00Z");
    assert_eq!(
        due(&minutely, &records, now, None),
        DueAction::Run {
            slot,
            missed: COUNTED
        }
    );
}

#[test]
fn a_renewed_quota_is_used_once() {
    let schedule = Schedule {
        when: Trigger::QuotaRenewed,
        ..schedule("@daily", Tz::UTC, MissedPolicy::Once)
    };
    let now = at("2026-11-29T12:00:00Z");
    let renewal = at("2026-11-29T11:00:00Z");
    assert_eq!(due(&schedule, &[], now, None), DueAction::FirstSight);
    let mut records = seen("2026-11-29T12:00:00Z");
    assert_eq!(
        due(&schedule, &records, now, None),
        DueAction::NotYet { next: None }
    );
    let run = DueAction::Run {
        slot: renewal,
        missed: 0,
    };
    assert_eq!(due(&schedule, &records, now, Some(renewal)), run);
    records.push(record(ScheduledRunEvent::Started, renewal));
    assert_eq!(
        due(&schedule, &records, now, Some(renewal)),
        DueAction::NotYet { next: None }
    );
    let later = at("2026-11-29T15:00:00Z");
    assert_eq!(
        due(&schedule, &records, now, Some(later)),
        DueAction::NotYet { next: Some(later) }
    );
}

#[test]
fn the_clock_leaps_forward_and_the_fixed_time_comes_right_after_the_gap() {
    let zone = Tz::Europe__Brussels;
    let expression = CronExpression::parse("30 2 * * *").unwrap();
    let slots: Vec<String> = expression
        .after(at("2026-03-28T00:00:00+01:00"), zone)
        .take(3)
        .map(|slot| slot.to_rfc3339())
        .collect();
    assert_eq!(
        slots,
        [
            "2026-03-28T02:30:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:30:00+02:00"
        ]
    );
}

#[test]
fn the_clock_falls_back_and_the_fixed_time_comes_once_the_repeated_one_keeps_its_pace() {
    let zone = Tz::Europe__Brussels;
    let start = at("2026-10-25T01:00:00+02:00");
    let fixed = CronExpression::parse("30 2 * * *").unwrap();
    let slots: Vec<String> = fixed
        .after(start, zone)
        .take(2)
        .map(|slot| slot.to_rfc3339())
        .collect();
    assert_eq!(
        slots,
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    let paced = CronExpression::parse("*/30 * * * *").unwrap();
    let slots: Vec<Timestamp> = paced.after(start, zone).take(8).collect();
    for pair in slots.windows(2) {
        assert_eq!(pair[1] - pair[0], Duration::minutes(30), "{slots:?}");
    }
}

#[test]
fn what_is_no_expression_is_said_with_what_is_allowed() {
    for (text, said) in [
        ("0 2 * *", "has five fields"),
        ("0 0 2 * * *", "has five fields"),
        ("61 2 * * *", "is no cron expression"),
        ("0 2 * * funday", "is no cron expression"),
        ("0 0 30 2 *", "never comes"),
        ("", "has five fields"),
        ("@sometimes", "is no cron expression"),
    ] {
        let error = CronExpression::parse(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }
    assert!(CronExpression::parse("@daily").is_ok());
    assert!(CronExpression::parse("*/5 9-17 * * mon-fri").is_ok());
}

const ZONES: [Tz; 8] = [
    Tz::Europe__Brussels,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::America__Santiago,
    Tz::Asia__Tehran,
    Tz::Africa__Casablanca,
    Tz::Pacific__Apia,
    Tz::UTC,
];

/// Says whether a zone has a day: Apia had no 30 December 2011 at all.
fn has_day(zone: Tz, day: NaiveDate) -> bool {
    (0..24).any(|hour| {
        let time = day.and_hms_opt(hour, 30, 0).unwrap();
        zone.from_local_datetime(&time).earliest().is_some()
    })
}

proptest! {
    /// A fixed time comes once on every day of the calendar that the zone has, at that time or, where the clock leaps over
    /// it, later on that day. What falls on a day that a zone left out as a whole may come at the first moment after it.
    #[test]
    fn a_fixed_time_comes_once_a_day_in_every_zone(zone in 0..ZONES.len(), hour in 0..24_u32, minute in 0..60_u32, year in 2005..2035_i32) {
        let zone = ZONES[zone];
        let expression = CronExpression::parse(&format!("{minute} {hour} * * *")).unwrap();
        let start = Utc.with_ymd_and_hms(year, 1, 3, 0, 0, 0).unwrap().fixed_offset();
        let end = start + Duration::days(364);
        let mut days: BTreeMap<NaiveDate, u32> = BTreeMap::new();
        let mut last = start;
        for slot in expression.after(start, zone).take_while(|slot| *slot < end) {
            prop_assert!(slot > last, "{slot} is not after {last}");
            last = slot;
            let local = slot.with_timezone(&zone);
            *days.entry(local.date_naive()).or_default() += 1;
            let follows_no_day = !has_day(zone, local.date_naive().pred_opt().unwrap());
            if follows_no_day && (local.hour(), local.minute()) == (0, 0) && (hour, minute) != (0, 0) {
                *days.entry(local.date_naive()).or_default() -= 1;
            } else if (local.hour(), local.minute()) != (hour, minute) {
                // Only a time that this day does not have may be replaced.
                let wanted = local.date_naive().and_hms_opt(hour, minute, 0).unwrap();
                prop_assert!(zone.from_local_datetime(&wanted).earliest().is_none(), "{local} for {wanted}");
            }
        }
        let mut day = (start + Duration::days(1)).with_timezone(&zone).date_naive();
        let until = (end - Duration::days(2)).with_timezone(&zone).date_naive();
        while day < until {
            if has_day(zone, day) {
                prop_assert_eq!(days.get(&day).copied(), Some(1), "{} in {}", day, zone);
            }
            day = day.succ_opt().unwrap();
        }
        prop_assert!(days.keys().all(|day| day.year() >= year - 1));
    }

    /// However often and however late somebody asks, each slot is run at most once, and the order is the order of time.
    #[test]
    fn every_slot_is_handled_at_most_once(zone in 0..ZONES.len(), gaps in proptest::collection::vec(1..200_000_i64, 1..60), never in any::<bool>(), month in 1..13_u32) {
        let missed = if never { MissedPolicy::Never } else { MissedPolicy::Once };
        let hourly = schedule("17 */3 * * *", ZONES[zone], missed);
        let mut now = Utc.with_ymd_and_hms(2026, month, 1, 0, 0, 0).unwrap().fixed_offset();
        let mut records = vec![record(ScheduledRunEvent::Seen, now)];
        let mut handled = Vec::new();
        for gap in gaps {
            now += Duration::seconds(gap);
            match due(&hourly, &records, now, None) {
                DueAction::Run { slot, .. } => {
                    prop_assert!(slot <= now);
                    if never {
                        prop_assert!((now - slot).num_seconds() <= MISSED_AFTER_SEC);
                    }
                    records.push(record(ScheduledRunEvent::Started, slot));
                    handled.push(slot);
                }
                DueAction::Skip { slot, .. } => {
                    prop_assert!(never && (now - slot).num_seconds() > MISSED_AFTER_SEC);
                    records.push(record(ScheduledRunEvent::Missed, slot));
                    handled.push(slot);
                }
                DueAction::NotYet { next } => prop_assert!(next.is_some_and(|next| next > now)),
                DueAction::FirstSight => prop_assert!(false, "it was seen"),
            }
            let again = due(&hourly, &records, now, None);
            prop_assert!(matches!(again, DueAction::NotYet { .. }), "{:?}", again);
        }
        prop_assert!(handled.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
